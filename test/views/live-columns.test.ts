import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel, models } from '../../src/catalog/index.ts';
import { allViews } from '../../src/reports/all.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.close());

/** Enumerations as the facts about the API tell them, not as the catalogue does. */
const KNOWN: readonly (readonly [table: string, field: string, words: Readonly<Record<number, RegExp>>])[] = [
  ['crm_lead', 'active', { 1: /in progress/, 2: /lost/, 3: /won/ }],
  ['crm_account', 'type', { 1: /organi[sz]ation/, 2: /contact/ }],
  ['task_tasks', 'status', { 1: /new/, 3: /in progress/, 4: /pending .*approval/, 5: /completed/ }],
  ['task_tasks', 'priority', { 1: /low/, 2: /medium/, 3: /high/ }],
  [
    'task_tasks',
    'type',
    { 0: /task/, 1: /inbox/, 20: /event/, 21: /event/, 22: /event/, 23: /event/, 30: /template/, 40: /milestone/ },
  ],
  ['task_tasks', 'archive_status', { 0: /active/, 10: /archived/ }],
  [
    'fin_invoice',
    'status_id',
    { 5: /empty/, 10: /new/, 12: /confirm/, 13: /^confirmed/, 20: /part/, 30: /overpaid/, 40: /^paid/ },
  ],
  ['fin_transaction', 'type', { 10: /income/, 20: /expense/ }],
  ['timetracker_timelogs', 'status', { 0: /new/, 10: /running/, 20: /paused/, 30: /stopped/ }],
];

describe('words beside codes', () => {
  it.each(KNOWN)('%s.%s has a word for every known code, and none for others', async (table, field, words) => {
    const codes = [...Object.keys(words).map(Number), 77];
    await database.sql.unsafe(
      `insert into flowlu.${table} (id, ${field}, _record, _observed_at, _source, _hash)
       select code, code, '{}', now(), 'api', gen_random_uuid() from unnest($1::text::int[]) as code`,
      [`{${codes.join(',')}}`],
    );
    const rows = await database.sql.unsafe(`select ${field} as code, ${field}_label as word from flowlu_live.${table}`);
    const found = new Map(rows.map(({ code, word }) => [Number(code), word as string | null]));
    for (const [code, word] of Object.entries(words)) expect(found.get(Number(code))).toMatch(word);
    expect(found.get(77)).toBeNull();
    await database.sql.unsafe(`truncate flowlu.${table}`);
  });
});

describe('the columns of the views', () => {
  it('have one name each, a meaning, and a target that exists', () => {
    for (const { schema, name, columns } of allViews(NO_FACTS)) {
      expect(new Set(columns.map((column) => column.name)).size, name).toBe(columns.length);
      for (const { name: column, comment, references } of columns) {
        expect(comment, `${schema}.${name}.${column}`).not.toBe('');
        if (references !== null) expect(findModel(references), `${schema}.${name}.${column}`).toBeDefined();
      }
    }
  });

  it('are all fields of the model, in its order, with words right behind codes', () => {
    const live = allViews(NO_FACTS).filter(({ schema }) => schema === 'flowlu_live');
    const views = new Map(live.map((view) => [view.model, view]));
    for (const { name, fields } of models) {
      const expected = Object.entries(fields).flatMap(([field, { labels }]) =>
        labels === undefined ? [field] : [field, `${field}_label`],
      );
      expect(views.get(name)?.columns.map((column) => column.name)).toEqual(expected);
    }
  });
});
