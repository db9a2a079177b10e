/** Incremental catch-up: the ladder of ways, each believed only when the rows that come back bear it out. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { catchUp } from '../../src/reconcile/incremental.ts';
import { forget, measure, PORTAL } from '../../src/store/measurements.ts';
import { compareWithSource } from '../simulator/compare.ts';
import { clearFaults } from '../simulator/index.ts';
import { type Mirror, never, startMirror } from '../support/mirror.ts';

let mirror: Mirror;

beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: { 'crm.account': 450, 'crm.loss_reason': 10 } });
  await mirror.fill('crm.account', 'crm.loss_reason');
});
afterAll(() => mirror.close());
afterEach(async () => {
  clearFaults(mirror.portal.faults);
  // Each test finds out anew what the portal supports.
  await mirror.sql`update sync.watermarks set strategy = null, strategy_checked_at = null`;
});

const deps = () => ({ sql: mirror.sql, client: mirror.client, writer: mirror.context });
const catchUpAccounts = () => catchUp(deps(), mirror.model('crm.account'), never);
const differences = async (...names: string[]) =>
  (await compareWithSource(mirror.database.url, mirror.portal.portal, names)).differences;

function changeSome(): void {
  const { portal } = mirror.portal;
  const ids = [...portal.rows('crm.account')].map(({ id }) => String(id));
  for (const id of ids.slice(3, 20)) portal.update('crm.account', id);
  for (let created = 0; created < 3; created += 1) portal.create('crm.account');
}

describe('catching up', () => {
  it('asks newest first, and finds what was changed and made in one request', async () => {
    changeSome();
    const increment = await catchUpAccounts();
    expect(increment).toMatchObject({ strategy: 'newest', counts: { requests: 1 } });
    expect(await differences('crm.account')).toEqual([]);
  });

  it('asks for a date interval where the order is ignored', async () => {
    mirror.portal.faults.ignoreOrder = true;
    changeSome();
    expect(await catchUpAccounts()).toMatchObject({ strategy: 'interval' });
    expect(await differences('crm.account')).toEqual([]);
  });

  it('gives up, so that everything is read again, where neither filter nor order is honoured', async () => {
    mirror.portal.faults.ignoreFilters = true;
    mirror.portal.faults.ignoreOrder = true;
    changeSome();
    expect(await catchUpAccounts()).toBeNull();
  });

  it('gives up as well where sorting is an error, on pages that are no larger than the portal bears', async () => {
    await measure(mirror.sql, PORTAL, { bearable_size: 25 });
    Object.assign(mirror.portal.faults, {
      http504: { over: 25 },
      http500: { parameter: 'order_by' },
      ignoreFilters: true,
    });
    expect(await catchUpAccounts()).toBeNull();
    await forget(mirror.sql, PORTAL, 'bearable_size');
  });

  it('does not believe an interval that leaves out a row which belongs to it', async () => {
    mirror.portal.faults.ignoreOrder = true;
    changeSome();
    await catchUpAccounts();
    await mirror.sql`update sync.watermarks set strategy = null, strategy_checked_at = null`;
    const changed = mirror.portal.portal.changes.map(({ id }) => id);
    mirror.portal.faults.hideRows = { value: [...new Set(changed)] };
    const reached = () =>
      mirror.sql`select watermark, last_reconciled_at from sync.watermarks where model = 'crm.account'`;
    const before = await reached();
    expect(await catchUpAccounts()).toBeNull();
    // What was not believed does not count as read.
    expect(await reached()).toEqual(before);
  });

  it('remembers the way that worked, and tries it alone the next time', async () => {
    mirror.portal.faults.ignoreFilters = true;
    await catchUpAccounts();
    mirror.portal.requests.clear();
    expect(await catchUpAccounts()).toMatchObject({ strategy: 'newest', counts: { requests: 1 } });
    expect(mirror.portal.requests.total()).toBe(1);
  });

  it('is not possible for models without versions', async () => {
    expect(await catchUp(deps(), mirror.model('crm.loss_reason'), never)).toBeNull();
  });

  it('keeps the watermark below what a change during the listing could have, so that none is overlooked', async () => {
    const [before] = await mirror.sql`select watermark from sync.watermarks where model = 'crm.account'`;
    changeSome();
    await catchUpAccounts();
    const [after] = await mirror.sql`
      select watermark, watermark <= (select max(_version) from flowlu.crm_account) as below, last_reconciled_at
        from sync.watermarks where model = 'crm.account'`;
    expect(after?.below).toBe(true);
    expect(after?.watermark.getTime()).toBeGreaterThanOrEqual(before?.watermark.getTime());
  });
});
