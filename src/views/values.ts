/**
 * How SQL reads Flowlu's loose values: the one coercion beside `record/coerce.ts`, used for custom fields and for the past.
 *
 * A value that does not fit its type, or is too long to be one, is null: a cast that failed would take the reader's whole
 * query down. The functions stand in `flowlu_history`, where whoever reads its views has the right to find them. Each is
 * one expression, which the planner puts in the place of the call as long as its parameter stands in it once.
 */
import type { FieldKind } from '../catalog/types.ts';
import { MAX_SCALAR_LENGTH } from '../core/json.ts';
import { literal } from '../postgres/quote.ts';
import { settingAsText } from '../store/settings.ts';

export const FUNCTION_SCHEMA = 'flowlu_history';

export interface SqlFunction {
  readonly name: string;
  readonly parameters: string;
  readonly returns: string;
  readonly body: string;
}

/** What `String.prototype.trim` takes off. */
const BLANKS = literal(
  ' \t\n\r\f\v\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff',
);

// Patterns have no counted digits and no lookahead, which PostgreSQL matches 10 to 50 times slower.
const YEAR = String.raw`(?:\d\d\d[1-9]|\d\d[1-9]\d|\d[1-9]\d\d|[1-9]\d\d\d)`;
const LEAP_YEAR = String.raw`(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)`;
/** A day of the calendar: a cast of any other would fail. */
const DAY = String.raw`(?:${YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))|${LEAP_YEAR}-02-29)`;
const TIME = String.raw`[Tt ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?`;
const OFFSET = String.raw`\s*(?:[Zz]|[+-](?:0\d|1[0-5])(?::?[0-5]\d)?)`;
const WHOLE = String.raw`^[+-]?\d+(?:\.0*)?$`;
const DECIMAL = String.raw`^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d\d?\d?)?$`;
const FLAG = String.raw`^(?:1(?:\.0*)?|true|0(?:\.0*)?|false)$`;
/** The last second of the year 9999. */
const MAX_UNIX_SECONDS = 253_402_300_799;

/** In an order in which each calls only those before it. */
export const VALUE_FUNCTIONS: readonly SqlFunction[] = [
  {
    name: 'scalar',
    parameters: 'v text',
    returns: 'text',
    // What is longer than any number or date is neither, and some of it would make a cast fail.
    body: `case when length(v) <= ${MAX_SCALAR_LENGTH} then btrim(v, ${BLANKS}) end`,
  },
  {
    name: 'digits',
    parameters: 'v jsonb',
    returns: 'text',
    body: `case jsonb_typeof(v)
      when 'string' then ${FUNCTION_SCHEMA}.scalar(v #>> '{}')
      when 'number' then case when length(v #>> '{}') <= ${MAX_SCALAR_LENGTH} then v #>> '{}' end
      when 'boolean' then case when v::boolean then '1' else '0' end end`,
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
      then case when d::numeric > 0 and d::numeric <= ${MAX_UNIX_SECONDS} then to_timestamp(d::double precision) end
      else coalesce(
        ${FUNCTION_SCHEMA}.first_of(substring(d from '^${DAY}(?:${TIME})?$')::timestamp, zone),
        substring(d from '^${DAY}${TIME}${OFFSET}$')::timestamptz) end`,
  },
];

/** The first numbers that do not fit, on either side. */
const INT64 = '-9223372036854775809, 9223372036854775808';
const INT32 = '-2147483649, 2147483648';

/** The scalar `digits` as a column of this kind holds it; moments on the wall clock of `zone`, an SQL expression. */
function scalarAs(kind: Exclude<FieldKind, 'text'>, digits: string, zone: string): string {
  switch (kind) {
    case 'id':
    case 'integer':
      return `${FUNCTION_SCHEMA}.to_whole(${digits}, ${INT64})::bigint`;
    case 'link':
      return `nullif(${FUNCTION_SCHEMA}.to_whole(${digits}, ${INT64}), 0)::bigint`;
    case 'code':
      return `${FUNCTION_SCHEMA}.to_whole(${digits}, ${INT32})::integer`;
    case 'decimal':
      return `${FUNCTION_SCHEMA}.to_decimal(${digits})`;
    case 'flag':
      return `${FUNCTION_SCHEMA}.to_flag(${digits})`;
    case 'date':
      return `${FUNCTION_SCHEMA}.to_day(${digits})`;
    case 'datetime':
    case 'unix':
      return `${FUNCTION_SCHEMA}.to_moment(${digits}, ${zone})`;
  }
}

/** SQL for the portal's time zone; asked for once a query. */
const ZONE = `(select coalesce(${settingAsText('timezone')}, 'UTC'))`;

/** SQL that reads a field's value, a `jsonb` expression, as its column would hold it. */
export function typedValue(kind: FieldKind, value: string): string {
  return kind === 'text' ? `${value} #>> '{}'` : scalarAs(kind, `${FUNCTION_SCHEMA}.digits(${value})`, ZONE);
}

/** The kind of field whose column has this type. */
const KINDS: Readonly<Record<string, Exclude<FieldKind, 'text'>>> = {
  bigint: 'integer',
  numeric: 'decimal',
  boolean: 'flag',
  date: 'date',
  timestamptz: 'datetime',
};

/** A text expression as `type`. Moments need the name of the portal's zone; without it they are null. */
export function castText(type: string, value: string, zone: string | null): string {
  if (type === 'text') return value;
  if (type === 'text[]') return `case when ${value} is not null then array[${value}] end`;
  const kind = KINDS[type];
  if (kind === undefined) return `null::${type}`;
  return scalarAs(kind, `${FUNCTION_SCHEMA}.scalar(${value})`, zone === null ? 'null' : literal(zone));
}
