/**
 * The vocabulary of the catalogue: what a Flowlu model is, as plain data.
 *
 * A field's *kind* says what its values mean; the typed column, the coercion, the comment and the
 * reference all follow from it.
 */

/** What the values of a field mean, and so which PostgreSQL type holds them. */
export type FieldKind =
  /** Primary key. `bigint`. */
  | 'id'
  /** Id of another record; 0 and "" mean "no link". `bigint`. */
  | 'link'
  /** Text as it stands; "" stays "". `text`. */
  | 'text'
  /** Whole number: counters, orderings, durations. `bigint`. */
  | 'integer'
  /** One of a small set of codes, with labels where they are known. `integer`. */
  | 'code'
  /** Exact decimal: money, quantities, rates, percents. Never a float. `numeric`. */
  | 'decimal'
  /** Yes or no, spelt 0/1, "0"/"1" or true/false. `boolean`. */
  | 'flag'
  /** Calendar day without a time. `date`. */
  | 'date'
  /** Moment, written in the portal's zone without naming it. `timestamptz`. */
  | 'datetime'
  /** Moment, written as Unix seconds. `timestamptz`. */
  | 'unix';

export interface Field<K extends FieldKind = FieldKind> {
  readonly kind: K;
  /** One line for people who read the column: meaning and unit. */
  readonly doc: string;
  /** For links: the model pointed at, as `module.model`. */
  readonly references?: string;
  /** For codes: what each value stands for. */
  readonly labels?: Readonly<Record<number, string>>;
}

/** Field name as Flowlu spells it, in lower case → field. */
export type Fields = Readonly<Record<string, Field>>;

export type Edition =
  /** Clients that run against flowlu.com use it. */
  | 'flowlu'
  /** Documented for flowlu.com, not seen there. */
  | 'expected'
  /** Named by clients and help pages, documented nowhere; skipped where the API does not know it. */
  | 'possible'
  /** Documented for the sister edition only; skipped where the API does not know it. */
  | 'aspro';

/** What a module's file declares for each of its models. */
export interface ModelDeclaration<F extends Fields = Fields> {
  readonly title: string;
  /** Developer Hub scope without its level, e.g. `crm.accounts`. */
  readonly scope: string;
  readonly edition: Edition;
  /** The field that carries the time of the last change, or null where the model has none. */
  readonly version: string | null;
  /** False where the API has no portal-wide list, so only webhooks can fill the table. */
  readonly listable: boolean;
  /** True where `get/{id}` is known, so that single records can be read again. */
  readonly gettable: boolean;
  /** Extra query parameters that a complete listing needs, e.g. `{ 'filter[archive_status]': '0,10' }`. */
  readonly listQuery?: Readonly<Record<string, string>>;
  readonly fields: F;
}

export interface Model<F extends Fields = Fields> extends ModelDeclaration<F> {
  readonly module: string;
  readonly model: string;
  /** `module.model`, the name people use on the command line. */
  readonly name: string;
  /** Table name in schema `flowlu`, `module_model`. */
  readonly table: string;
}
