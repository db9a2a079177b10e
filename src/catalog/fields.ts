/** Short functions with which the module files declare their fields. */
import type { Edition, Field, Fields, ModelDeclaration } from './types.ts';

export const id = (doc = 'Identifier in Flowlu'): Field => ({ kind: 'id', doc });
export const text = (doc: string): Field => ({ kind: 'text', doc });
export const integer = (doc: string): Field => ({ kind: 'integer', doc });
export const decimal = (doc: string): Field => ({ kind: 'decimal', doc });
export const flag = (doc: string): Field => ({ kind: 'flag', doc });
export const date = (doc: string): Field => ({ kind: 'date', doc });
export const datetime = (doc: string): Field => ({ kind: 'datetime', doc });
export const unix = (doc: string): Field => ({ kind: 'unix', doc });

/** A link; without `references` if the target is unknown or depends on another field. */
export const link = (doc: string, references?: string): Field => ({
  kind: 'link',
  doc,
  ...(references && { references }),
});

/** A code; without `labels` if the values are not documented. */
export const code = (doc: string, labels?: Field['labels']): Field => ({
  kind: 'code',
  doc,
  ...(labels && { labels }),
});

/** Names of the field with the time of the last change. */
const VERSIONS = ['updated_date', 'updated_at', 'updated'];

/** Declares a model. Every model has an `id`, which comes first. */
export const model = (title: string, scope: string, edition: Edition, fields: Fields): ModelDeclaration =>
  oddModel({}, title, scope, edition, fields);

/** Declares a model with the exceptions in `odd`. */
export function oddModel(
  odd: Partial<Pick<ModelDeclaration, 'version' | 'listable' | 'gettable' | 'listQuery'>>,
  title: string,
  scope: string,
  edition: Edition,
  fields: Fields,
): ModelDeclaration {
  const version = VERSIONS.find((name) => name in fields) ?? null;
  return { title, scope, edition, version, listable: true, gettable: true, ...odd, fields: { id: id(), ...fields } };
}
