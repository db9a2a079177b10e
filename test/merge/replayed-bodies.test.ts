/** Somebody has recorded webhooks, secret and all, and sends them again: nothing that was true once becomes true again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import { readAnnouncement } from '../../src/delivery/delivery.ts';
import { receive } from '../../src/merge/receive.ts';
import { settleDue } from '../../src/merge/settle.ts';
import { randomFrom } from '../simulator/random.ts';
import { type Mirror, never, startMirror } from '../support/mirror.ts';

let mirror: Mirror;

beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: {} });
});
afterAll(() => mirror?.close());

async function send(body: string): Promise<string> {
  const { sql, context, log } = mirror;
  const [id] = await receive([{ body, announcement: readAnnouncement(body) }], { sql, context, log });
  const [row] = await sql`select decision from sync.deliveries where id = ${id ?? null}`;
  return row?.decision as string;
}

const settle = () =>
  settleDue(
    {
      sql: mirror.sql,
      client: mirror.client,
      writer: mirror.context,
      tableOf: (name) => ({ name, model: findModel(name) ?? null }),
    },
    1_000,
    never,
  );

/** Bodies of a record that is created and changed, and of one that is deleted in the end as well. */
function history(model: string): readonly string[] {
  const { portal } = mirror.portal;
  const kept = portal.create(model, { name: 'first' });
  const gone = portal.create(model, { name: 'doomed' });
  const changes = [
    kept,
    gone,
    portal.update(model, String(kept.id), { name: 'second' }),
    portal.update(model, String(gone.id), { name: 'doomed still' }),
    portal.update(model, String(kept.id), { name: 'third' }),
    portal.remove(model, String(gone.id)),
  ];
  return changes.map((change) => mirror.portal.webhooks.body(change));
}

describe('bodies that come again', () => {
  it.each([
    ['crm.account', 'crm_account', 'with versions of one second'],
    ['crm.industry', 'crm_industry', 'without versions'],
  ])('change no row of %s, in whatever order they come (%s, %s)', async (model, table) => {
    const bodies = history(model);
    for (const body of bodies) await send(body);
    const rows = () =>
      mirror.sql.unsafe(`select id::text, name, _record, _deleted_at, _observed_at from flowlu.${table} order by id`);
    const before = await rows();
    expect(before.map(({ name, _deleted_at }) => [name, _deleted_at === null])).toEqual([
      ['third', true],
      ['doomed still', false],
    ]);
    const random = randomFrom(4711);
    for (let round = 0; round < 8; round += 1) {
      const shuffled = bodies.map((body) => ({ body, at: random() })).sort((a, b) => a.at - b.at);
      for (const { body } of shuffled) {
        expect(['duplicate', 'stale', 'kept']).toContain(await send(body));
        expect(await rows()).toEqual(before);
      }
    }
    // Where a repetition cannot be told from news, the API is asked, and has nothing to change.
    expect((await settle()).open).toBe(0);
    const after = await rows();
    expect(after.map(({ name, _deleted_at }) => [name, _deleted_at === null])).toEqual([
      ['third', true],
      ['doomed still', false],
    ]);
  });
});
