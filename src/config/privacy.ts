/** The settings on personal data: a part of the table in `index.ts`, with what holds between these settings. */
import type { z } from 'zod';
import * as parse from './values.ts';

/** One field of one model. */
export interface FieldName {
  /** `module.model`, in lower case. */
  readonly model: string;
  /** As Flowlu spells it, in lower case; a custom field by its number, `cf_12`. */
  readonly field: string;
}

/** Fields in one list at most; a portal has some thousands in all. */
const MAX_FIELDS = 1_000;

/** Reads `module.model.field`, comma-separated. */
const fieldNames = parse.text((value): readonly FieldName[] => {
  const words = [...new Set(value.split(',').map((word) => word.trim().toLowerCase()))].filter((word) => word !== '');
  if (words.length > MAX_FIELDS) throw new Error(`lists more than ${MAX_FIELDS} fields`);
  return words.map((word) => {
    const [, model, field] = /^([a-z0-9_]+\.[a-z0-9_]+)\.([a-z0-9_]+)$/.exec(word) ?? [];
    if (model === undefined || field === undefined) throw new Error(`"${word}" is not module.model.field`);
    if (field === 'id') throw new Error(`"${word}": without its id a record cannot be told from others`);
    if (field.startsWith('cf_') && !/^cf_\d+$/.test(field)) {
      throw new Error(`"${word}": name a custom field by its number, as cf_12; its alias may change`);
    }
    return { model, field };
  });
});

/** Characters of the key that hashes are made with: values such as phone numbers are few enough to be tried out. */
const MIN_HASH_SECRET_LENGTH = 32;

const hashSecret = parse.text((value) => {
  if (value.length >= MIN_HASH_SECRET_LENGTH) return value;
  throw new Error(`has fewer than ${MIN_HASH_SECRET_LENGTH} characters; make one with: openssl rand -hex 32`);
});

const group = 'Personal data';

/** In the order of the documentation. */
export const privacySettings = {
  FLOWLU_OMIT_FIELDS: {
    group,
    schema: fieldNames.optional(),
    defaultNote: 'none',
    help: 'fields that are left out before anything is stored, comma-separated: module.model.field, custom ones as cf_12',
  },
  FLOWLU_HASH_FIELDS: {
    group,
    schema: fieldNames.optional(),
    defaultNote: 'none',
    help: 'fields of which only a keyed hash is stored: equal values stay equal, and cannot be looked up without the key',
  },
  FLOWLU_HASH_SECRET: {
    group,
    schema: hashSecret.optional(),
    secret: true,
    help: 'key of these hashes, 32 characters or more; another key makes other hashes',
  },
} as const satisfies Record<string, parse.Setting>;

type Values = z.output<z.ZodObject<{ [K in keyof typeof privacySettings]: (typeof privacySettings)[K]['schema'] }>>;

/** What is wrong between settings that are each right by themselves. */
export function privacyProblems(values: Values): readonly { readonly name: string; readonly problem: string }[] {
  const { FLOWLU_OMIT_FIELDS = [], FLOWLU_HASH_FIELDS = [], FLOWLU_HASH_SECRET } = values;
  const problems: { name: string; problem: string }[] = [];
  if (FLOWLU_HASH_FIELDS.length > 0 && FLOWLU_HASH_SECRET === undefined) {
    const problem = 'is needed with FLOWLU_HASH_FIELDS; make one with: openssl rand -hex 32';
    problems.push({ name: 'FLOWLU_HASH_SECRET', problem });
  }
  const omitted = new Set(FLOWLU_OMIT_FIELDS.map(({ model, field }) => `${model}.${field}`));
  const twice = FLOWLU_HASH_FIELDS.map(({ model, field }) => `${model}.${field}`).filter((name) => omitted.has(name));
  if (twice.length > 0) {
    problems.push({ name: 'FLOWLU_HASH_FIELDS', problem: `also in FLOWLU_OMIT_FIELDS: ${twice.join(', ')}` });
  }
  return problems;
}

/** What `values` say about personal data. */
export function privacyConfig(values: Values) {
  return {
    omit: values.FLOWLU_OMIT_FIELDS ?? [],
    hash: values.FLOWLU_HASH_FIELDS ?? [],
    /** Null only where nothing is hashed. */
    hashSecret: values.FLOWLU_HASH_SECRET ?? null,
  };
}
