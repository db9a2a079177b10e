/** The mirror tables: one for each model, and one for the models that the catalogue does not know. */
import { sql } from 'drizzle-orm';
import { bigint, customType, index, jsonb, pgSchema, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { models } from '../catalog/index.ts';
import type { FieldKind, Model } from '../catalog/types.ts';
import { type metaColumnDocs, sqlTypes } from './facts.ts';
import { indexedColumns, mergedInto } from './indexes.ts';

export const flowlu = pgSchema('flowlu');

const instant = () => timestamp({ withTimezone: true });

function columnOf(kind: FieldKind) {
  // drizzle-kit knows this type by its long name only.
  const type = sqlTypes[kind].replace('timestamptz', 'timestamp with time zone');
  const column = customType({ dataType: () => type })();
  return kind === 'id' ? column.primaryKey() : column;
}

const metaColumns = () =>
  ({
    _record: jsonb().notNull(),
    _version: instant(),
    _observed_at: instant().notNull(),
    _source: text().notNull(),
    _deleted_at: instant(),
    _hash: uuid().notNull(),
  }) satisfies Readonly<Record<keyof typeof metaColumnDocs, unknown>>;

/**
 * The table of one model, with the indexes that its readers need and one for catching up. The primary key is its only
 * constraint: records do not arrive in the source's order, so a foreign key or a second unique column would reject
 * valid rows.
 */
function mirrorTable({ table: name, fields, version }: Model) {
  const columns = Object.entries(fields).map(([field, { kind }]) => [field, columnOf(kind)] as const);
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
  { module: text().notNull(), model: text().notNull(), id: bigint({ mode: 'bigint' }).notNull(), ...metaColumns() },
  (t) => [primaryKey({ columns: [t.module, t.model, t.id] })],
);
