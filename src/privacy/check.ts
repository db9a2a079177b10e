/** Whether the privacy settings can be kept to, by what the catalogue says of the fields. Pure. */
import { findModel } from '../catalog/index.ts';
import type { PrivacyRules, ProtectedField } from './policy.ts';

export interface PrivacyFindings {
  /** What cannot work; the settings have to change. */
  readonly problems: readonly string[];
  /** What may be a typing mistake: nobody knows such a field, so nothing may be protected by naming it. */
  readonly unknown: readonly string[];
}

/** By these the mirror knows what a custom field is called, and so what to protect. */
const DEFINITIONS = 'customfields.fields';
const NEEDED_OF_DEFINITIONS = ['module', 'model', 'alias'];

/** Looks at every field that the settings name. */
export function checkPrivacy({ omit, hash }: PrivacyRules): PrivacyFindings {
  const problems = [
    ...[...omit, ...hash].flatMap((field) => neededFor(field) ?? []),
    ...hash.flatMap((field) => unfit(field) ?? []),
  ];
  const unknown = [...omit, ...hash].filter(isUnknown).map(nameOf);
  return { problems, unknown };
}

const nameOf = ({ model, field }: ProtectedField) => `${model}.${field}`;

/** The mirror cannot do without some fields. */
function neededFor({ model, field }: ProtectedField): string | null {
  const name = `${model}.${field}`;
  if (findModel(model)?.version === field) return `${name} tells which of two states is newer; it cannot be protected`;
  if (model !== DEFINITIONS || !NEEDED_OF_DEFINITIONS.includes(field)) return null;
  return `${name} tells which custom fields are to be protected; it cannot be protected itself`;
}

/** A hash is text, and fits no other column. */
function unfit({ model, field }: ProtectedField): string | null {
  const kind = findModel(model)?.fields[field]?.kind;
  if (kind === undefined || kind === 'text') return null;
  return `${model}.${field} is no text (${kind}), so its column cannot hold a hash; put it into FLOWLU_OMIT_FIELDS`;
}

function isUnknown({ model, field }: ProtectedField): boolean {
  const known = findModel(model);
  return known === undefined || !(Object.hasOwn(known.fields, field) || field.startsWith('cf_'));
}
