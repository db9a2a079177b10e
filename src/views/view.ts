/** How every view over the mirror is written: its columns as a table, a builder, and the words for kinds of columns. Pure. */
import { literal } from '../postgres/quote.ts';

/** One column of a view, with all that can be said about it. */
export interface ViewColumn {
  readonly name: string;
  /** As `format_type` spells it, `timestamptz` in short. */
  readonly type: string;
  /** SQL that yields it, in terms of the view's `from`. */
  readonly expression: string;
  /** Meaning and codes, in one line. In the database, where a link leads is added to it. */
  readonly comment: string;
  /**
   * `field`: a field of Flowlu's · `label`: words for a code · `custom field`: value, words or stored form of one ·
   * `former name`: a custom field's column under the name it had · `derived`: anything else.
   */
  readonly origin: 'field' | 'label' | 'custom field' | 'former name' | 'derived';
  /** The model that a link leads to, as `module.model`. */
  readonly references: string | null;
}

export interface View {
  readonly schema: 'flowlu_live' | 'flowlu_reports' | 'flowlu_history';
  readonly name: string;
  /** `module.model` of the records it shows; null where they are no model's. */
  readonly model: string | null;
  readonly comment: string;
  /** Columns that tell its rows apart, nulls taken as values; left out where they are not known. */
  readonly key?: readonly string[];
  /** One row may have no key: it is for what belongs to nobody. */
  readonly hasNobody?: boolean;
  readonly columns: readonly ViewColumn[];
  /** `with` clauses before the query: what several parts of it read, and which is worked out once. */
  readonly with?: string;
  readonly from: string;
  /**
   * SQL for a column that stands in the view and is wanted no more, or with another type, but has to stay for the sake of what
   * depends on it.
   */
  readonly keep: (name: string, type: string) => string;
}

/** A column that is wanted no more shows nothing. */
export const keepEmpty = (_name: string, type: string): string => `null::${type}`;

/** A derived column in short; `join` is what its SQL needs after the view's `from`. */
export interface Column {
  readonly type: string;
  readonly sql: string;
  readonly comment: string;
  readonly references?: string;
  readonly join?: string;
}
export type Columns = Readonly<Record<string, Column>>;

interface Description {
  readonly schema?: View['schema'];
  readonly name: string;
  readonly model?: string;
  readonly comment: string;
  /** What one row stands for, after "one row for each". */
  readonly grain?: string;
  readonly key?: readonly string[];
  readonly hasNobody?: boolean;
  readonly columns: Columns;
  readonly with?: string;
  readonly from: string;
  readonly where?: string;
  readonly group?: string;
}

/** A view of derived columns; the records that its columns name are joined after `from`. */
export function view({ schema = 'flowlu_reports', model, comment, grain, columns, ...rest }: Description): View {
  const { name, key, hasNobody = false, from, where, group } = rest;
  const joins = Object.values(columns).flatMap(({ join }) => join ?? []);
  return {
    schema,
    name,
    model: model ?? null,
    comment: grain === undefined ? comment : `${comment}. One row for each ${grain}; key: ${key?.join(', ')}`,
    ...(key === undefined ? {} : { key, hasNobody }),
    ...(rest.with === undefined ? {} : { with: rest.with }),
    columns: Object.entries(columns).map(([column, { type, sql, comment: meaning, references }]) => ({
      name: column,
      type,
      expression: sql,
      comment: meaning,
      origin: 'derived',
      references: references ?? null,
    })),
    from: [
      from,
      ...new Set(joins),
      ...(where === undefined ? [] : [`where ${where}`]),
      ...(group === undefined ? [] : [`group by ${group}`]),
    ].join('\n'),
    keep: keepEmpty,
  };
}

const of =
  (type: string) =>
  (sql: string, comment: string, references?: string): Column =>
    references === undefined ? { type, sql, comment } : { type, sql, comment, references };

/** Joins the record that a link leads to, deleted or not; without one the row stays. */
export const joined = (table: string, alias: string, link: string): string =>
  `left join flowlu.${table} ${alias} on ${alias}.id = ${link}`;

export const c = {
  number: of('bigint'),
  count: of('bigint'),
  integer: of('integer'),
  amount: of('numeric'),
  text: of('text'),
  day: of('date'),
  moment: of('timestamptz'),
  yesNo: of('boolean'),
  json: of('jsonb'),
  /** A name or another short text; an empty one is none. */
  word: (sql: string, comment: string) => of('text')(`nullif(${sql}, '')`, comment),
  key: (sql: string, what: string, model: string) => of('bigint')(sql, `${what}: identifier in Flowlu`, model),
  /** A linked record: its number and, beside it, its name; joined under the prefix where the name comes from there. */
  linked: <N extends string>(prefix: N, id: string, what: string, model: string, name = `${prefix}.name`) =>
    ({
      [`${prefix}_id`]: c.key(id, what, model),
      [`${prefix}_name`]: {
        ...c.word(name, what),
        ...(name.includes(`${prefix}.`) ? { join: joined(model.replace('.', '_'), prefix, id) } : {}),
      },
    }) as Readonly<Record<`${N}_id` | `${N}_name`, Column>>,
  /** When the record last changed in Flowlu; of models that do not say, when the mirror last learnt of a change. */
  updatedAt: (alias: string) =>
    c.moment(`coalesce(${alias}._version, ${alias}._observed_at)`, 'When the record last changed'),
} as const;

/** The day, and the first day of the month, of a moment by the clock of `zone`. */
export const dayIn = (zone: string, at: string): string => `(${at} at time zone ${literal(zone)})::date`;
export const monthIn = (zone: string, at: string): string =>
  `date_trunc('month', ${at} at time zone ${literal(zone)})::date`;
