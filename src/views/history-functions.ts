/**
 * SQL functions that read values of the past, the way `record/coerce.ts` reads those of the present.
 *
 * The history keeps values as Flowlu spelt them, so that a corrected time zone or catalogue also corrects the past.
 * Each function is one expression, which the planner puts in the place of the call; a value that does not fit is null.
 * They stand in `flowlu_history`, because whoever asks a view also needs the right to find what its functions call.
 */

import { createHash } from 'node:crypto';
import type { FieldKind } from '../catalog/types.ts';
import { MAX_SCALAR_LENGTH } from '../core/json.ts';
import type { Transaction } from '../postgres/connection.ts';
import { readSettings, settingAsText, writeSetting } from '../store/settings.ts';

const SCHEMA = 'flowlu_history';

interface SqlFunction {
  readonly name: string;
  readonly parameters: string;
  readonly returns: string;
  readonly body: string;
}

/** A day of the calendar, the 29th of February in leap years alone. */
const DAY = String.raw`(?!0000)(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)`;
const TIME = String.raw`[Tt ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?`;
const OFFSET = String.raw`\s*(?:[Zz]|[+-](?:0\d|1[0-5])(?::?[0-5]\d)?)`;
const WHOLE = String.raw`^[+-]?\d{1,30}(?:\.0*)?$`;
const DECIMAL = String.raw`^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$`;
const FLAG = String.raw`^(?:1(?:\.0*)?|true|0(?:\.0*)?|false)$`;

/**
 * In an order in which each calls only those before it. A parameter that stands once in the body does not keep the
 * planner from putting the body in the place of the call, whatever it costs to work out.
 */
const FUNCTIONS: readonly SqlFunction[] = [
  {
    name: 'digits',
    parameters: 'v jsonb',
    returns: 'text',
    // What is longer than any number or date is neither, and some of it would make a cast fail.
    body: String.raw`case when length(v #>> '{}') <= ${MAX_SCALAR_LENGTH} then case jsonb_typeof(v)
      when 'string' then btrim(v #>> '{}', E' \t\n\r\f\v')
      when 'number' then v #>> '{}'
      when 'boolean' then case when v::boolean then '1' else '0' end end end`,
  },
  {
    name: 'to_whole',
    parameters: 'd text, below numeric, beyond numeric',
    returns: 'numeric',
    body: `nullif(nullif(greatest(least(trunc(substring(d from '${WHOLE}')::numeric), beyond), below), beyond), below)`,
  },
  {
    name: 'to_decimal',
    parameters: 'd text',
    returns: 'numeric',
    body: `substring(d from '${DECIMAL}')::numeric`,
  },
  {
    name: 'to_flag',
    parameters: 'd text',
    returns: 'boolean',
    body: `case left(substring(lower(d) from '${FLAG}'), 1)
      when '1' then true when 't' then true when '0' then false when 'f' then false end`,
  },
  {
    name: 'to_day',
    parameters: 'd text',
    returns: 'date',
    body: `left(substring(d from '^${DAY}(?:${TIME}(?:${OFFSET})?)?$'), 10)::date`,
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
    body: `case when d ~ '${WHOLE}'
      then case when d::numeric > 0 and d::numeric <= 253402300799 then to_timestamp(d::double precision) end
      else coalesce(
        ${SCHEMA}.first_of(substring(d from '^${DAY}(?:${TIME})?$')::timestamp, zone),
        substring(d from '^${DAY}${TIME}${OFFSET}$')::timestamptz) end`,
  },
];

/** The first numbers that do not fit, on either side. */
const INT64 = '-9223372036854775809, 9223372036854775808';
const INT32 = '-2147483649, 2147483648';

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
const ZONE = `(select coalesce(${settingAsText('timezone')}, 'UTC'))`;

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
  if ((await readSettings(tx, 'history functions'))['history functions'] === hash) return;
  const [found] = await tx`select to_regprocedure('flowlu_history.laid_over(jsonb)') is not null as aggregate`;
  await tx.unsafe(
    [`create schema if not exists ${SCHEMA}`, ...statements, ...(found?.aggregate === true ? [] : [OVERLAY])].join(
      ';\n',
    ),
  );
  await writeSetting(tx, 'history functions', hash);
}
