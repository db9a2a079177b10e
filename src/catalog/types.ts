/**
 * Types of the catalogue, which describes Flowlu's models as plain data.
 *
 * A field's *kind* says what its values mean; the typed column, the coercion, the comment and the reference all follow
 * from it.
 */

/** What the values of a field mean, and so which PostgreSQL type holds them. */
export type FieldKind =
  /** Primary key. `bigint`. */
  | 'id'
  /** Id of another record; 0 and "" mean "no link". `bigint`. */
  | 'link'
  /** Text, unchanged; "" stays "". `text`. */
  | 'text'
  /** Whole number: counters, orderings, durations. `bigint`. */
  | 'integer'
  /** One of a small set of codes, with labels if known. `integer`. */
  | 'code'
  /** Exact decimal: money, quantities, rates, percents. Never a float. `numeric`. */
  | 'decimal'
  /** Yes or no, spelt 0/1, "0"/"1" or true/false. `boolean`. */
  | 'flag'
  /** Calendar day without a time. `date`. */
  | 'date'
  /** Date-time in the portal's zone, without naming it. `timestamptz`. */
  | 'datetime'
  /** Unix seconds. `timestamptz`. */
  | 'unix';

export interface Field {
  readonly kind: FieldKind;
  /** One line for people who read the column: meaning and unit. */
  readonly doc: string;
  /** For links: the target model, as `module.model`. */
  readonly references?: string;
  /** For codes: what each value means. */
  readonly labels?: Readonly<Record<number, string>>;
}

/** Field name as Flowlu spells it, in lower case → field. */
export type Fields = Readonly<Record<string, Field>>;

export type Edition =
  /** Used by clients that run against flowlu.com. */
  | 'flowlu'
  /** Documented for flowlu.com, not seen there. */
  | 'expected'
  /** Named by clients and help pages but not documented; skipped if the API does not know it. */
  | 'possible'
  /** Documented only for the sister edition; skipped if the API does not know it. */
  | 'aspro';

export interface ModelDeclaration {
  readonly title: string;
  /** Developer Hub scope without its level, e.g. `crm.accounts`. */
  readonly scope: string;
  readonly edition: Edition;
  /** The field with the time of the last change; null if the model has none. */
  readonly version: string | null;
  /** False if the API has no portal-wide list, so that only webhooks can fill the table. */
  readonly listable: boolean;
  /** True if `get/{id}` is known, so that single records can be read again. */
  readonly gettable: boolean;
  /** Extra query parameters that a complete listing needs, e.g. `{ 'filter[archive_status]': '0,10' }`. */
  readonly listQuery?: Readonly<Record<string, string>>;
  readonly fields: Fields;
}

export interface Model extends ModelDeclaration {
  readonly module: string;
  readonly model: string;
  /** `module.model`, the name people use on the command line. */
  readonly name: string;
  /** Table name in schema `flowlu`, `module_model`. */
  readonly table: string;
}
