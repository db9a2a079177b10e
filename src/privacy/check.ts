/** Checks the privacy settings against the catalogue. Pure. */
import { findModel, models } from '../catalog/index.ts';
import { nearest, sortedLetters } from '../catalog/name.ts';
import type { PrivacyRules, ProtectedField } from './policy.ts';

/** The definitions tell the mirror the names of custom fields, and so what to protect. */
const DEFINITIONS = 'customfields.fields';
const NEEDED_OF_DEFINITIONS = ['module', 'model', 'alias'];

/** @param extraModels names of models that are mirrored although the catalogue does not know them */
export function checkPrivacy({ omit, hash }: PrivacyRules, extraModels: readonly string[]) {
  const fields = [...omit, ...hash];
  const unknown = fields.filter((field) => isUnknown(field) && !extraModels.includes(field.model));
  const misspelt = new Map(unknown.map((field) => [nameOf(field), misspellingOf(field, fields)]));
  return {
    /** Settings that cannot work and must be changed. */
    problems: [
      ...[...misspelt.values()].flatMap((problem) => problem ?? []),
      ...fields.flatMap((field) => neededFor(field) ?? []),
      ...hash.flatMap((field) => unfit(field) ?? []),
    ],
    /** Fields that the catalogue does not know and Flowlu may have: naming them may protect nothing. */
    unknown: [...misspelt.keys()].filter((name) => misspelt.get(name) === null),
  };
}

const MODEL_NAMES = models.map(({ name }) => name);
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

/**
 * What is misspelt, or null: a name of the catalogue is near. Flowlu has fields that the catalogue lacks, so whoever means
 * one with such a name names the near one, too.
 */
function misspellingOf({ model, field }: ProtectedField, all: readonly ProtectedField[]): string | null {
  const name = nameOf({ model, field });
  const known = findModel(model);
  if (known === undefined) {
    const meant = nearOf(model, MODEL_NAMES);
    if (meant !== null) return `${name}: no model is called ${model} (did you mean ${meant}?)`;
    if (!MODEL_NAMES.some((one) => one.startsWith(model.replace(/\..*/, '.')))) return null;
    return `${name}: no model is called ${model}; one that the catalogue lacks goes into FLOWLU_EXTRA_MODELS, too`;
  }
  const candidates = Object.keys(known.fields);
  const meant = nearOf(field, candidates);
  const named = all.filter((other) => other.model === model).map((other) => other.field);
  const isNearNamed =
    nearOf(
      field,
      candidates.filter((one) => named.includes(one)),
    ) !== null;
  if (meant === null || isNearNamed) return null;
  return `${name} is no known field (did you mean ${model}.${meant}?); if Flowlu has it, name both`;
}

/** As near as a slip of the finger is; swapped letters count as two. */
function nearOf(name: string, candidates: readonly string[]): string | null {
  const distanceMax = name.length < 8 ? 1 : 2;
  return candidates.find((one) => sortedLetters(one) === sortedLetters(name)) ?? nearest(name, candidates, distanceMax);
}

function isUnknown({ model, field }: ProtectedField): boolean {
  const known = findModel(model);
  return known === undefined || !(Object.hasOwn(known.fields, field) || field.startsWith('cf_'));
}
