/**
 * SQL functions that read values of the past, the way `catalog/coerce.ts` reads those of the present.
 *
 * The history keeps values as Flowlu spelt them, so that a corrected time zone or catalogue also corrects the past.
 * Each function is one expression, which the planner puts in the place of the call; a value that does not fit is null.
 * They stand in `flowlu_history`, because whoever asks a view also needs the right to find what its functions call.
 */
import { createHash } from 'node:crypto';
import type { FieldKind } from '../../catalog/types.ts';
import type { Transaction } from '../connection.ts';

const SCHEMA = 'flowlu_history';

interface SqlFunction {
  readonly name: string;
  readonly parameters: string;
  readonly returns: string;
  readonly body: string;
}

const WALL_TIME = String.raw`^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?\s*(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?)?)?$`;
const WHOLE = String.raw`^[+-]?\d{1,30}(\.0*)?$`;
const DECIMAL = String.raw`^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?$`;

/** In an order in which each calls only those before it. */
const FUNCTIONS: readonly SqlFunction[] = [
  {
    name: 'digits',
    parameters: 'v jsonb',
    returns: 'text',
    body: String.raw`case jsonb_typeof(v)
      when 'string' then btrim(v #>> '{}', E' \t\n\r\f\v')
      when 'number' then v #>> '{}'
      when 'boolean' then case when v::boolean then '1' else '0' end end`,
  },
  {
    name: 'to_whole',
    parameters: 'd text, lowest numeric, highest numeric',
    returns: 'numeric',
    body: `case when d ~ '${WHOLE}' then case when trunc(d::numeric) between lowest and highest then trunc(d::numeric) end end`,
  },
  {
    name: 'to_decimal',
    parameters: 'd text',
    returns: 'numeric',
    body: `case when d ~* '${DECIMAL}' then d::numeric end`,
  },
  {
    name: 'to_flag',
    parameters: 'd text',
    returns: 'boolean',
    body: String.raw`case when d ~* '^(1(\.0*)?|true)$' then true when d ~* '^(0(\.0*)?|false)$' then false end`,
  },
  {
    name: 'is_day',
    parameters: 'd text',
    returns: 'boolean',
    // No month has more days than the regular expression lets pass, so only the short ones are left to check.
    body: `case when d !~* '${WALL_TIME}' or left(d, 4) = '0000' then false
      when substr(d, 6, 2) in ('04', '06', '09', '11') then substr(d, 9, 2) <> '31'
      when substr(d, 6, 2) <> '02' then true
      when left(d, 4)::int % 4 = 0 and (left(d, 4)::int % 100 <> 0 or left(d, 4)::int % 400 = 0) then substr(d, 9, 2) <= '29'
      else substr(d, 9, 2) <= '28' end`,
  },
  {
    name: 'to_day',
    parameters: 'd text',
    returns: 'date',
    body: `case when ${SCHEMA}.is_day(d) then left(d, 10)::date end`,
  },
  {
    name: 'first_of',
    parameters: 'wall timestamp, zone text',
    returns: 'timestamptz',
    // Of an hour that the zone repeats, "at time zone" takes the second course.
    body: `case when (((wall - interval '1 hour') at time zone zone + interval '1 hour') at time zone zone) = wall
      then least((wall - interval '1 hour') at time zone zone + interval '1 hour', wall at time zone zone)
      else wall at time zone zone end`,
  },
  {
    name: 'to_moment',
    parameters: 'd text, zone text',
    returns: 'timestamptz',
    body: `case
      when d ~ '${WHOLE}' then case when d::numeric > 0 and d::numeric <= 253402300799 then to_timestamp(d::double precision) end
      when not ${SCHEMA}.is_day(d) then null
      when d ~* ':.*(Z|[+-][0-9:]+)$' then d::timestamptz
      else ${SCHEMA}.first_of(d::timestamp, zone) end`,
  },
];

const INT64 = '-9223372036854775808, 9223372036854775807';
const INT32 = '-2147483648, 2147483647';

/** SQL that reads a field's value, a `jsonb` expression, as its column would hold it. */
export function typedValue(kind: FieldKind, value: string): string {
  const digits = `${SCHEMA}.digits(${value})`;
  switch (kind) {
    case 'text':
      return `${value} #>> '{}'`;
    case 'id':
    case 'integer':
      return `${SCHEMA}.to_whole(${digits}, ${INT64})::bigint`;
    case 'link':
      return `nullif(${SCHEMA}.to_whole(${digits}, ${INT64}), 0)::bigint`;
    case 'code':
      return `${SCHEMA}.to_whole(${digits}, ${INT32})::integer`;
    case 'decimal':
      return `${SCHEMA}.to_decimal(${digits})`;
    case 'flag':
      return `${SCHEMA}.to_flag(${digits})`;
    case 'date':
      return `${SCHEMA}.to_day(${digits})`;
    case 'datetime':
    case 'unix':
      return `${SCHEMA}.to_moment(${digits}, ${ZONE})`;
  }
}

/** SQL for the portal's time zone; asked for once a query. */
const ZONE = `(select coalesce((select value #>> '{}' from sync.settings where key = 'timezone'), 'UTC'))`;

/** SQL for a field's value in a past state: what the overlay holds of it, else what the row holds now. */
export function pastValue(kind: FieldKind, name: string, past: string, current: string): string {
  return `case when ${past} ? ${name} then ${typedValue(kind, `(${past} -> ${name})`)} else ${current} end`;
}

/**
 * The whole record of a past state: the row's, under the names that the history uses, with what the overlay holds of it.
 * A field that was not there reads null. `aliases` lead from second names of custom fields to the first.
 */
const PAST_RECORD: SqlFunction = {
  name: 'past_record',
  parameters: 'record jsonb, past jsonb, aliases jsonb',
  returns: 'jsonb',
  body: `case when past = '{}' then record else (
      select coalesce(jsonb_object_agg(f.key, f.value) filter (
               where not past ? f.key and not past ? lower(f.key) and not past ? coalesce(aliases ->> f.key, '')
             ), '{}')
        from jsonb_each(record) f) || past end`,
};

function definitionOf({ name, parameters, returns, body }: SqlFunction): string {
  return `create or replace function ${SCHEMA}.${name}(${parameters}) returns ${returns} language sql stable parallel safe return ${body}`;
}

/** The order in which `before` patches are laid over each other is that of the window: the last one wins. */
const OVERLAY = `create aggregate ${SCHEMA}.laid_over(jsonb) (sfunc = pg_catalog.jsonb_concat, stype = jsonb, initcond = '{}')`;

/** Makes the functions where they are missing or have changed. */
export async function createHistoryFunctions(tx: Transaction): Promise<void> {
  const statements = [...FUNCTIONS, PAST_RECORD].map(definitionOf);
  const hash = createHash('sha256').update(statements.join()).digest('hex').slice(0, 32);
  const [found] = await tx`
    select exists (select from sync.settings where key = 'history functions' and value = to_jsonb(${hash}::text)) as current,
           to_regprocedure('flowlu_history.laid_over(jsonb)') is not null as aggregate`;
  if (found?.current === true) return;
  await tx.unsafe(
    [`create schema if not exists ${SCHEMA}`, ...statements, ...(found?.aggregate === true ? [] : [OVERLAY])].join(
      ';\n',
    ),
  );
  await tx`
    insert into sync.settings (key, value) values ('history functions', to_jsonb(${hash}::text))
    on conflict (key) do update set value = excluded.value`;
}
