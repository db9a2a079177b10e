import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapeOf } from '../../src/merge/writer.ts';
import { changesBetween, explain } from '../../src/story/explain.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';

let mirror: Mirror;
beforeAll(async () => {
  mirror = await startMirror();
});
afterAll(() => mirror.close());

function story(name: string, id: string) {
  const [module = '', model = ''] = name.split('.');
  const table = mirror.context.tableOf(module, model);
  if (table === null) throw new Error(`no table for ${name}`);
  return explain(mirror.sql, table, id, shapeOf(table, mirror.context));
}

describe('explain', () => {
  it('tells the row and each delivery in order, with its decision and what it changed', async () => {
    const { portal } = mirror.portal;
    const created = portal.create('crm.account', { name: 'Acme', updated_date: '2026-01-01 10:00:00' });
    const renamed = portal.update('crm.account', created.id, { name: 'Acme Ltd', updated_date: '2026-01-02 10:00:00' });
    const moved = portal.update('crm.account', created.id, { name: 'Acme Inc', updated_date: '2026-01-03 10:00:00' });
    const removed = portal.remove('crm.account', created.id);
    await mirror.deliver(created, moved, renamed, moved, removed);

    const { row, deliveries, deliveries_total, doubt, table } = await story('crm.account', created.id);
    expect(table).toBe('flowlu.crm_account');
    expect(row).toMatchObject({ state: 'deleted', source: 'webhook', values: { name: 'Acme Inc' } });
    expect(row?.version).toMatch(/^2026-01-03T10:00:00/);
    expect(doubt).toBeNull();
    expect(deliveries_total).toBe(5);
    expect(deliveries.map(({ action, decision }) => `${action} ${decision}`)).toEqual([
      'create inserted',
      'update updated',
      'update stale',
      'update duplicate',
      'delete tombstoned',
    ]);
    expect(deliveries[1]?.changes).toContainEqual({ field: 'name', from: 'Acme Ltd', to: 'Acme Inc' });
    expect(deliveries[2]?.changes).toContainEqual({ field: 'name', from: 'Acme', to: 'Acme Ltd' });
    expect(deliveries[2]?.told).toBe('the row was newer already: left alone');
    expect(Number(deliveries[0]?.id)).toBeLessThan(Number(deliveries[1]?.id));
  });

  it('tells what a reading through the API changed, since no webhook did', async () => {
    const { portal } = mirror.portal;
    const created = portal.create('crm.account', { name: 'Borealis', updated_date: '2026-01-01 10:00:00' });
    await mirror.deliver(created);
    expect((await story('crm.account', created.id)).api_changes).toEqual([]);
    portal.update('crm.account', created.id, { name: 'Borealis Ltd', updated_date: '2026-01-02 10:00:00' });
    await mirror.fill('crm.account');
    const { api_changes } = await story('crm.account', created.id);
    expect(api_changes).toMatchObject([{ path: 'list', change: 'updated' }]);
    expect(api_changes[0]?.changes).toContainEqual({ field: 'name', from: 'Borealis', to: 'Borealis Ltd' });
  });

  it('tells why a row is doubtful', async () => {
    const { portal } = mirror.portal;
    const created = portal.create('crm.loss_reason', { name: 'too dear' });
    await mirror.deliver(created, ...portal.toggle('crm.loss_reason', created.id, 2));
    const { doubt, deliveries } = await story('crm.loss_reason', created.id);
    expect(doubt?.reason).toMatch(/return to an earlier state/);
    expect(deliveries.at(-1)?.told).toMatch(/doubtful, since deliveries of one version return/);
  });

  it('tells of models that the catalogue does not know, and of what it knows nothing about', async () => {
    const created = mirror.portal.portal.create('crm.source', { name: 'fair' });
    await mirror.deliver({ ...created, model: 'not_known' });
    const unknown = await story('crm.not_known', created.id);
    expect(unknown.table).toBe('flowlu.uncatalogued');
    expect(unknown.row?.values).toMatchObject({ name: 'fair' });
    expect(unknown.row?.values).not.toHaveProperty('module');
    expect(unknown.row?.record).toMatchObject({ name: 'fair' });
    expect(unknown.deliveries).toHaveLength(1);
    expect(await story('crm.account', '999999')).toMatchObject({ row: null, doubt: null, deliveries_total: 0 });
  });

  it('names changes by what values mean, under canonical names', () => {
    const shape = mirror.model('crm.account');
    const changes = changesBetween(
      shape,
      { id: 1, VAT: '12', active: 1, phone: 'a' },
      { id: '1', vat: 12, active: '0', web: 'x' },
    );
    expect(changes).toEqual([
      { field: 'active', from: 1, to: '0' },
      { field: 'web', to: 'x' },
    ]);
  });
});
