/** The mirror tables: one for each model, and one for the models that the catalogue does not know. */
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  date,
  index,
  integer,
  jsonb,
  numeric,
  pgSchema,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';
import { models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import { indexedColumns, mergedInto } from './indexes.ts';

export const flowlu = pgSchema('flowlu');

const whole = () => bigint({ mode: 'bigint' });
const instant = () => timestamp({ withTimezone: true });

const builders = {
  id: () => whole().primaryKey(),
  link: whole,
  text: () => text(),
  integer: whole,
  code: () => integer(),
  decimal: () => numeric(),
  flag: () => boolean(),
  date: () => date(),
  datetime: instant,
  unix: instant,
} as const;

export const metaColumns = () => ({
  _record: jsonb().notNull(),
  _version: instant(),
  _observed_at: instant().notNull(),
  _source: text().notNull(),
  _deleted_at: instant(),
  _hash: uuid().notNull(),
});

/**
 * The table of one model, with the indexes that its readers need and one for catching up. The primary key is its only
 * constraint: records do not arrive in the source's order, so a foreign key or a second unique column would reject
 * valid rows.
 */
function mirrorTable({ table: name, fields, version }: Model) {
  const columns = Object.entries(fields).map(([field, { kind }]) => [field, builders[kind]()] as const);
  const indexed = [...(indexedColumns[name] ?? []), ...(version === null ? [] : ['_version'])];
  const into = (mergedInto as Readonly<Record<string, string>>)[name];
  return flowlu.table(name, { ...Object.fromEntries(columns), ...metaColumns() }, (table) => {
    const own = (column: string) => table[column as keyof typeof table];
    const merged = (column: string) => index(`${name}_merged`).on(own(column), own('id'));
    return [
      ...indexed.map((column) => index(`${name}_${column}`).on(own(column))),
      ...(into === undefined ? [] : [merged(into).where(sql`${own(into)} is not null`)]),
    ];
  });
}

/** By their names in the database. */
export const mirrorTables = Object.fromEntries(models.map((model) => [model.table, mirrorTable(model)]));

/** Records of models that the catalogue does not know, so that nothing sent by Flowlu is dropped. */
export const uncatalogued = flowlu.table(
  'uncatalogued',
  { module: text().notNull(), model: text().notNull(), id: whole().notNull(), ...metaColumns() },
  (t) => [primaryKey({ columns: [t.module, t.model, t.id] })],
);
