/** Short functions with which the module files declare their fields. */
import type { Edition, Field, Fields, ModelDeclaration } from './types.ts';

export const id = (doc = 'Identifier in Flowlu'): Field<'id'> => ({ kind: 'id', doc });
export const text = (doc: string): Field<'text'> => ({ kind: 'text', doc });
export const integer = (doc: string): Field<'integer'> => ({ kind: 'integer', doc });
export const decimal = (doc: string): Field<'decimal'> => ({ kind: 'decimal', doc });
export const flag = (doc: string): Field<'flag'> => ({ kind: 'flag', doc });
export const date = (doc: string): Field<'date'> => ({ kind: 'date', doc });
export const datetime = (doc: string): Field<'datetime'> => ({ kind: 'datetime', doc });
export const unix = (doc: string): Field<'unix'> => ({ kind: 'unix', doc });

/** A link; without `references` if the target is unknown or depends on another field. */
export const link = (doc: string, references?: string): Field<'link'> =>
  references === undefined ? { kind: 'link', doc } : { kind: 'link', doc, references };

/** A code; without `labels` if the values are not documented. */
export const code = (doc: string, labels?: Readonly<Record<number, string>>): Field<'code'> =>
  labels === undefined ? { kind: 'code', doc } : { kind: 'code', doc, labels };

/** Names of the field with the time of the last change. */
const VERSIONS = ['updated_date', 'updated_at', 'updated'] as const;

type Declared<F extends Fields> = ModelDeclaration<{ readonly id: Field<'id'> } & F>;

/** Declares a model. Every model has an `id`, which comes first. */
export const model = <const F extends Fields>(title: string, scope: string, edition: Edition, fields: F): Declared<F> =>
  oddModel({}, title, scope, edition, fields);

/** Declares a model with the exceptions in `odd`. */
export function oddModel<const F extends Fields>(
  odd: Partial<Pick<ModelDeclaration, 'version' | 'listable' | 'gettable' | 'listQuery'>>,
  title: string,
  scope: string,
  edition: Edition,
  fields: F,
): Declared<F> {
  const version = VERSIONS.find((name) => name in fields) ?? null;
  return { title, scope, edition, version, listable: true, gettable: true, ...odd, fields: { id: id(), ...fields } };
}
