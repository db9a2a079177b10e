/** Checks the privacy settings against the catalogue. Pure. */
import { findModel } from '../catalog/index.ts';
import type { PrivacyRules, ProtectedField } from './policy.ts';

/** The definitions tell the mirror the names of custom fields, and so what to protect. */
const DEFINITIONS = 'customfields.fields';
const NEEDED_OF_DEFINITIONS = ['module', 'model', 'alias'];

export function checkPrivacy({ omit, hash }: PrivacyRules) {
  const fields = [...omit, ...hash];
  return {
    /** Settings that cannot work and must be changed. */
    problems: [...fields.flatMap((field) => neededFor(field) ?? []), ...hash.flatMap((field) => unfit(field) ?? [])],
    /** Unknown fields, perhaps misspelt: naming them may protect nothing. */
    unknown: fields.filter(isUnknown).map(nameOf),
  };
}

const nameOf = ({ model, field }: ProtectedField) => `${model}.${field}`;

/** Why the mirror needs the field, or null. */
function neededFor({ model, field }: ProtectedField): string | null {
  const name = nameOf({ model, field });
  if (findModel(model)?.version === field) return `${name} tells which of two states is newer; it cannot be protected`;
  if (model !== DEFINITIONS || !NEEDED_OF_DEFINITIONS.includes(field)) return null;
  return `${name} tells which custom fields are to be protected; it cannot be protected itself`;
}

/** Why the field cannot be hashed, or null: a hash is text and fits no other column. */
function unfit({ model, field }: ProtectedField): string | null {
  const kind = findModel(model)?.fields[field]?.kind;
  if (kind === undefined || kind === 'text') return null;
  return `${model}.${field} is no text (${kind}), so its column cannot hold a hash; put it into FLOWLU_OMIT_FIELDS`;
}

function isUnknown({ model, field }: ProtectedField): boolean {
  const known = findModel(model);
  return known === undefined || !(Object.hasOwn(known.fields, field) || field.startsWith('cf_'));
}
