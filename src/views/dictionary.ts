/**
 * `flowlu_live.data_dictionary`: every column an analyst may read, told from the database's own catalogue and
 * comments, so that it stays right whatever views and custom fields come and go.
 */
import type { Queryable } from '../postgres/connection.ts';
import { literal } from '../postgres/quote.ts';
import { COVERAGE, COVERAGE_MEANS, LAST_LISTING } from './coverage.ts';
import { c, type View, view } from './view.ts';

/** Stands in a comment between the meaning of a column and what it refers to. */
const REFERS = ' → ';

/** A comment with the column that it refers to, as `schema.table.column`; the dictionary takes it apart again. */
export const withReference = (text: string, target: string): string => `${text}${REFERS}${target}`;

const REFERENCE = `${REFERS}([^[:space:]]+)$`;

/** Of what the planner's sample holds of a text column, the part that is empty. Other types have no empty value. */
const EMPTY_SHARE = `case when a.atttypid = 'text'::regtype
  then coalesce(s.most_common_freqs[array_position(s.most_common_vals::text::text[], '')], 0) else 0 end`;

/**
 * Every readable column of the mirror's schemas. Statistics are the planner's: estimates, and free of cost. They are
 * looked up column by column, since the planner believes `pg_stats` to be small and would go through it each time.
 */
export function dataDictionary(): View {
  return view({
    schema: 'flowlu_live',
    name: 'data_dictionary',
    comment: 'Every column of the mirror: type, meaning, reference, how well it is filled',
    columns: {
      table_schema: c.text(
        'n.nspname::text',
        'Schema: flowlu_live for nearly everything, flowlu with deleted records and technical columns',
      ),
      table_name: c.text('c.relname::text', 'Table or view'),
      column_name: c.text('a.attname::text', 'Column'),
      position: c.integer('a.attnum::integer', 'Place of the column in its table, from 1'),
      data_type: c.text('format_type(a.atttypid, a.atttypmod)', 'PostgreSQL type'),
      meaning: c.text(
        `regexp_replace(d.description, ${literal(REFERENCE)}, '')`,
        'What the column holds: meaning, unit, codes',
      ),
      refers_to: c.text(
        `substring(d.description from ${literal(REFERENCE)})`,
        'Column that the values point at, as schema.table.column; a link may lead to a record that is gone',
      ),
      filled_percent: c.amount(
        `round((100 * (1 - s.null_frac - ${EMPTY_SHARE}))::numeric, 1)`,
        "Share of rows with a value, estimated from the planner's sample; null before the first analyze",
      ),
      coverage: c.text(
        `case when base.oid is not null and base.relname <> 'uncatalogued' then ${COVERAGE} end`,
        COVERAGE_MEANS,
      ),
      estimated_rows: c.count(
        'case when base.reltuples >= 0 then base.reltuples::bigint end',
        "Rows of the table, deleted ones included: the planner's estimate; null before the first analyze",
      ),
      table_meaning: c.text('t.description', 'What the table holds'),
    },
    from: `pg_namespace n
join pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_description d on d.objoid = c.oid and d.objsubid = a.attnum and d.classoid = 'pg_class'::regclass
left join pg_description t on t.objoid = c.oid and t.objsubid = 0 and t.classoid = 'pg_class'::regclass
left join pg_namespace m on m.nspname = 'flowlu'
left join pg_class base on base.relnamespace = m.oid and base.relname = c.relname and base.relkind = 'r'
left join lateral (
  select null_frac, most_common_vals, most_common_freqs from pg_stats
  where schemaname = 'flowlu' and tablename = base.relname and attname = a.attname limit 1
) s on true
left join sync.watermarks w on w.model = regexp_replace(base.relname, '_', '.')
left join ${LAST_LISTING} l on l.model = regexp_replace(base.relname, '_', '.')
where (n.nspname = 'flowlu' or n.nspname like 'flowlu\\_%') and has_table_privilege(c.oid, 'select')`,
  });
}

export interface DictionaryEntry {
  readonly table_schema: string;
  readonly table_name: string;
  readonly column_name: string;
  readonly data_type: string;
  readonly meaning: string | null;
  /** `schema.table.column` */
  readonly refers_to: string | null;
  readonly coverage: string | null;
  readonly table_meaning: string | null;
}

/** The whole dictionary, in the order of tables and columns. */
export async function readDictionary(sql: Queryable): Promise<readonly DictionaryEntry[]> {
  return await sql<DictionaryEntry[]>`
    select table_schema, table_name, column_name, data_type, meaning, refers_to, coverage, table_meaning
      from flowlu_live.data_dictionary
     order by table_schema, table_name, position`;
}
