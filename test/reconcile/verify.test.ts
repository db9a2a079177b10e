import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ModelVerification, type VerifyOptions, verify } from '../../src/reconcile/verify.ts';
import { clearFaults } from '../simulator/index.ts';
import { type Mirror, never, quietObserver, startMirror } from '../support/mirror.ts';

const ACCOUNTS = 350;
let mirror: Mirror;

beforeAll(async () => {
  mirror = await startMirror({
    rowsPerModel: { 'crm.account': ACCOUNTS, 'crm.loss_reason': 40, 'core.tag': 30, 'crm.industry': 20 },
  });
  await mirror.fill('crm.account', 'crm.loss_reason', 'core.tag');
});
afterAll(() => mirror.close());
afterEach(() => clearFaults(mirror.portal.faults));

type Chosen = Partial<Pick<VerifyOptions, 'repair' | 'sample' | 'pauseMs' | 'maxRechecks' | 'observer'>>;

async function verifyModel(name: string, chosen: Chosen = {}) {
  const { sql, client, context } = mirror;
  const result = await verify(
    { sql, client, writer: context },
    {
      models: [mirror.model(name)],
      concurrency: 1,
      holder: 'test',
      repair: false,
      sample: null,
      observer: quietObserver,
      signal: never,
      pauseMs: 0,
      ...chosen,
    },
  );
  return { status: result.status, report: result.models[0] as ModelVerification };
}

const verifyAccounts = (chosen: Chosen = {}) => verifyModel('crm.account', chosen);
const found = (report: ModelVerification) => report.findings.map(({ kind, id }) => `${kind} ${id}`);
const idsOf = (name: string) => [...mirror.portal.portal.rows(name)].map(({ id }) => String(id));

describe('verify', () => {
  it('finds no drift in a mirror that was just filled, in as many requests as a listing takes', async () => {
    const { status, report } = await verifyAccounts();
    expect(status).toBe('done');
    expect(report).toMatchObject({ outcome: 'complete', rows: ACCOUNTS, findings: [], in_flight: 0, unchecked: 0 });
    expect(report.requests).toBeLessThanOrEqual(ACCOUNTS / 100 + 3);
  });

  it('calls a model that was never read that, instead of asking for every row of it', async () => {
    const asked = mirror.portal.requests.total();
    const { status, report } = await verifyModel('crm.industry');
    expect(status).toBe('differences');
    expect(report).toMatchObject({ outcome: 'incomplete', reason: 'not read yet', requests: 0, findings: [] });
    expect(mirror.portal.requests.total()).toBe(asked);
  });

  it('tells missing, extra, stale and differing rows, names the fields, and mends them', async () => {
    const { portal } = mirror.portal;
    const [lost = '', held = '', gone = '', behind = '', altered = '', column = ''] = idsOf('crm.account');
    const { sql } = mirror;
    await sql`delete from flowlu.crm_account where id = ${lost}`;
    await sql`update flowlu.crm_account set _deleted_at = clock_timestamp() where id = ${held}`;
    portal.remove('crm.account', gone);
    portal.update('crm.account', behind, { phone: '4711', updated_date: '2031-01-01 00:00:00' });
    await sql`update flowlu.crm_account set _record = _record || '{"name": "not so"}' where id = ${altered}`;
    await sql`update flowlu.crm_account set phone = 'elsewhere' where id = ${column}`;
    const created = portal.create('crm.account').id;

    const before = await verifyAccounts();
    expect(before.status).toBe('differences');
    expect(found(before.report).sort()).toEqual(
      [
        `missing ${lost}`,
        `missing ${held}`,
        `missing ${created}`,
        `extra ${gone}`,
        `differing ${behind}`,
        `differing ${altered}`,
        `differing ${column}`,
      ].sort(),
    );
    const finding = (id: string) => before.report.findings.find((one) => one.id === id);
    expect(finding(altered)).toMatchObject({ fields: ['name'] });
    expect(finding(column)).toMatchObject({ fields: [], columns: ['phone'] });

    const repair = await verifyAccounts({ repair: true });
    expect(repair.report).toMatchObject({ repaired: 7, guarded: null });
    expect(repair.status).toBe('done');
    const after = await verifyAccounts();
    expect(found(after.report)).toEqual([]);
    const [tombstone] =
      await sql`select _deleted_at is not null as dead, name from flowlu.crm_account where id = ${gone}`;
    expect(tombstone).toMatchObject({ dead: true });
    const [row] = await sql`select name, _record->>'name' as recorded from flowlu.crm_account where id = ${altered}`;
    expect(row?.name).toBe(portal.get('crm.account', altered)?.name);
    expect(row?.recorded).toBe(row?.name);
  });

  it('calls a row stale whose version in the portal is newer', async () => {
    const [id = ''] = idsOf('crm.account').slice(20);
    mirror.portal.portal.update('crm.account', id, { phone: '0815' });
    const { report } = await verifyAccounts();
    expect(found(report)).toEqual([`stale ${id}`]);
    expect(report.findings[0]?.fields).toContain('phone');
    await verifyAccounts({ repair: true });
  });

  it('tells a change that arrives meanwhile from drift', async () => {
    const { portal } = mirror.portal;
    const [first = '', second = '', third = ''] = idsOf('crm.account').slice(30);
    const changes = [
      portal.update('crm.account', first, { phone: '1' }),
      portal.remove('crm.account', second),
      portal.create('crm.account'),
      portal.update('crm.account', third, { phone: '3' }),
    ];
    let delivered: Promise<unknown> | undefined;
    // The webhooks come when the listing has been read and before anything is looked at again.
    const observer = { ...quietObserver, modelAdvanced: () => (delivered ??= mirror.deliver(...changes)) };
    const { status, report } = await verifyAccounts({ pauseMs: 1_500, observer });
    await delivered;
    expect(found(report)).toEqual([]);
    expect(status).toBe('done');
    expect(report.in_flight).toBeGreaterThan(0);
  });

  it('finds what is extra and missing where the portal ignores filters and order', async () => {
    const { portal } = mirror.portal;
    mirror.portal.faults.ignoreFilters = true;
    mirror.portal.faults.ignoreOrder = true;
    const [gone = '', lost = ''] = idsOf('crm.account').slice(40);
    portal.remove('crm.account', gone);
    await mirror.sql`delete from flowlu.crm_account where id = ${lost}`;
    const { report } = await verifyAccounts({ repair: true });
    expect(report.outcome).toBe('complete');
    expect(found(report).sort()).toEqual([`extra ${gone}`, `missing ${lost}`]);
    expect((await verifyAccounts()).status).toBe('done');
  });

  it('does not tombstone more rows than can be believed, and says so', async () => {
    const names = idsOf('crm.loss_reason').slice(0, 25);
    const { portal } = mirror.portal;
    for (const id of names) portal.remove('crm.loss_reason', id);
    const { status, report } = await verifyModel('crm.loss_reason', { repair: true });
    expect(status).toBe('differences');
    expect(report.extra).toBe(25);
    expect(report.repaired).toBe(0);
    expect(report.guarded).toMatch(/25 of 40 rows/);
    const [row] =
      await mirror.sql`select count(*)::int as dead from flowlu.crm_loss_reason where _deleted_at is not null`;
    expect(row?.dead).toBe(0);
  });

  it('leaves what is beyond the bound of second looks as unchecked', async () => {
    const { status, report } = await verifyModel('crm.loss_reason', { maxRechecks: 10 });
    expect(status).toBe('differences');
    expect(report).toMatchObject({ extra: 10, unchecked: 15 });
  });

  it.each([
    ['a listing that is cut', { cutListing: true }, 'incomplete'],
    ['a key without the right', { errorCode: { value: 22 } }, 'failed'],
    ['a module that the portal has lost', { errorCode: { value: 31 } }, 'failed'],
    ['a portal that is down', { http500: true }, 'failed'],
  ] as const)('reports %s honestly, and neither drift nor agreement', async (_, faults, outcome) => {
    Object.assign(mirror.portal.faults, structuredClone(faults));
    const { status, report } = await verifyAccounts({ repair: true });
    expect(report).toMatchObject({ outcome, extra: 0, repaired: 0 });
    expect(report.reason).toBeTruthy();
    expect(status).toBe('differences');
  });

  it('does not mind rows that a list leaves out but the portal has', async () => {
    const [id = ''] = idsOf('crm.account').slice(60);
    mirror.portal.faults.hideRows = { value: [id] };
    mirror.portal.faults.wrongTotal = { value: idsOf('crm.account').length - 1 };
    const { report } = await verifyAccounts({ repair: true });
    expect(report).toMatchObject({ extra: 0, outcome: 'incomplete' });
    expect(report.reason).toMatch(/left out rows that the portal has: 1/);
    const [row] = await mirror.sql`select _deleted_at from flowlu.crm_account where id = ${id}`;
    expect(row?._deleted_at).toBeNull();
  });

  it('is not misled by other spellings of the same values', async () => {
    Object.assign(mirror.portal.faults, {
      numbersAsStrings: true,
      emptyDates: true,
      flags: true,
      omitCustomFields: true,
    });
    expect(found((await verifyAccounts()).report)).toEqual([]);
  });

  it('checks a sample in few requests, and finds what drifted in a small model', async () => {
    const { portal } = mirror.portal;
    const [id = ''] = idsOf('crm.loss_reason');
    portal.update('crm.loss_reason', id, { name: 'another reason' });
    const requests = mirror.portal.requests.entries.length;
    const quick = await verifyAccounts({ sample: 5 });
    expect(quick.status).toBe('done');
    expect(mirror.portal.requests.entries.length - requests).toBeLessThanOrEqual(7);
    const all = await verifyModel('crm.loss_reason', { sample: 100, maxRechecks: 100 });
    expect(found(all.report)).toContain(`differing ${id}`);
    expect(all.report.extra).toBe(25);
    for (const sample of [1, 2, 5]) expect((await verifyAccounts({ sample })).report.rows).toBe(sample);
  });

  it('reads a model in full where that takes no more requests than a sample', async () => {
    expect((await verifyAccounts({ sample: 2 })).report.rows).toBe(2);
    const { report } = await verifyAccounts({ sample: 20 });
    expect(report).toMatchObject({ outcome: 'complete', rows: idsOf('crm.account').length });
    expect(report.requests).toBeLessThan(11);
  });

  it('mends a model of which no single record can be read, but believes of no row of it that it is gone', async () => {
    const { portal } = mirror.portal;
    const [altered = '', lost = '', gone = ''] = idsOf('core.tag');
    portal.update('core.tag', altered, { name: 'another tag' });
    portal.remove('core.tag', gone);
    await mirror.sql`delete from flowlu.core_tag where id = ${lost}`;
    const { status, report } = await verifyModel('core.tag', { repair: true });
    expect(found(report).sort()).toEqual([`differing ${altered}`, `missing ${lost}`]);
    expect(report).toMatchObject({ repaired: 2, unchecked: 1 });
    expect(status).toBe('differences');
    expect((await verifyModel('core.tag')).report).toMatchObject({ findings: [], unchecked: 1 });
  });

  it('skips a module that neither side has', async () => {
    mirror.portal.faults.errorCode = { value: 31 };
    await mirror.fill('crm.source');
    const { status, report } = await verifyModel('crm.source');
    expect(report).toMatchObject({
      outcome: 'skipped',
      rows: 0,
      requests: 1,
      reason: expect.stringMatching(/^not in this portal/),
    });
    expect(status).toBe('done');
  });

  it('ends as a whole when the key is refused', async () => {
    mirror.portal.faults.errorCode = { value: 11 };
    await expect(verifyAccounts()).rejects.toThrow(/authorization|key/i);
  });
});
