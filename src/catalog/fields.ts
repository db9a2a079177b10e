/** Short words with which the module files declare their fields. */
import type { Edition, Field, Fields, ModelDeclaration } from './types.ts';

export const id = (doc = 'Identifier in Flowlu'): Field<'id'> => ({ kind: 'id', doc });
export const text = (doc: string): Field<'text'> => ({ kind: 'text', doc });
export const integer = (doc: string): Field<'integer'> => ({ kind: 'integer', doc });
export const decimal = (doc: string): Field<'decimal'> => ({ kind: 'decimal', doc });
export const flag = (doc: string): Field<'flag'> => ({ kind: 'flag', doc });
export const date = (doc: string): Field<'date'> => ({ kind: 'date', doc });
export const datetime = (doc: string): Field<'datetime'> => ({ kind: 'datetime', doc });
export const unix = (doc: string): Field<'unix'> => ({ kind: 'unix', doc });

/** A link; `references` is left out where the target is unknown or depends on another field. */
export const link = (doc: string, references?: string): Field<'link'> =>
  references === undefined ? { kind: 'link', doc } : { kind: 'link', doc, references };

/** A code; `labels` is left out where the values are not documented. */
export const code = (doc: string, labels?: Readonly<Record<number, string>>): Field<'code'> =>
  labels === undefined ? { kind: 'code', doc } : { kind: 'code', doc, labels };

interface ModelOptions<F extends Fields> {
  readonly title: string;
  readonly scope: string;
  readonly edition: Edition;
  /** Defaults to `updated_date` when the fields have one, else null. */
  readonly version?: (keyof NoInfer<F> & string) | null;
  readonly listable?: boolean;
  readonly gettable?: boolean;
  readonly listQuery?: Readonly<Record<string, string>>;
  readonly fields: F;
}

/** Fills in what most models have in common. */
export function model<const F extends Fields>(options: ModelOptions<F>): ModelDeclaration<F> {
  const version =
    options.version === undefined ? ('updated_date' in options.fields ? 'updated_date' : null) : options.version;
  return { listable: true, gettable: true, ...options, version };
}
