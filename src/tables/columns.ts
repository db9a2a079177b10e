/** Turns catalogue fields into typed columns. */
import { bigint, boolean, date, integer, jsonb, numeric, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { Fields } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';

const bigintColumn = (name: string) => bigint(name, { mode: 'bigint' });
const instantColumn = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

const builders = {
  id: bigintColumn,
  link: bigintColumn,
  text: (name: string) => text(name),
  integer: bigintColumn,
  code: (name: string) => integer(name),
  decimal: (name: string) => numeric(name),
  flag: (name: string) => boolean(name),
  date: (name: string) => date(name, { mode: 'string' }),
  datetime: instantColumn,
  unix: instantColumn,
} as const;

/** The columns of a model's own fields; all except `id` may be null. */
export type FieldColumns<F extends Fields> = {
  [N in keyof F & string]: ReturnType<(typeof builders)[F[N]['kind']]>;
};

export function fieldColumns<F extends Fields>(fields: F): FieldColumns<F> {
  const entries = Object.entries(fields).map(([name, field]) => [name, builders[field.kind](name)] as const);
  return Object.fromEntries(entries) as FieldColumns<F>;
}

export const metaColumns = () => ({
  _record: jsonb('_record').$type<JsonObject>().notNull(),
  _version: instantColumn('_version'),
  _observed_at: instantColumn('_observed_at').notNull(),
  _source: text('_source').$type<'webhook' | 'api' | 'erased'>().notNull(),
  _deleted_at: instantColumn('_deleted_at'),
  _hash: uuid('_hash').notNull(),
});
