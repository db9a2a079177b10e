/** Applies the privacy settings: which fields of which model are protected, including second names of custom fields. */
import { createHmac } from 'node:crypto';
import { findModel } from '../catalog/index.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { keyedHash, type Protection, redact, type Treatment } from './redact.ts';

/** Removes from a record what must not be stored; returns the same object if there is nothing to remove. */
export type Protect = (model: string, record: JsonObject) => JsonObject;

export type Privacy = NonNullable<ReturnType<typeof createPrivacy>>;

export interface PrivacyRules {
  readonly omit: readonly ProtectedField[];
  readonly hash: readonly ProtectedField[];
  /** Null only if `hash` is empty. */
  readonly hashSecret: string | null;
}

export interface ProtectedField {
  /** `module.model`. */
  readonly model: string;
  /** In lower case; a custom field as `cf_{id}`. */
  readonly field: string;
}

/** Second names of a model's custom fields, `cf_{alias}` → every `cf_{id}` known to have or have had this name. */
export type AliasesOf = (model: string) => ReadonlyMap<string, readonly string[]> | undefined;

/** Null if nothing is protected. */
export function createPrivacy(rules: PrivacyRules, aliasesOf: AliasesOf) {
  const byModel = treatmentsByModel(rules);
  if (byModel.size === 0) return null;
  // A record of an unknown model may belong to any model, under another name.
  const everything = new Map([...byModel.values()].flatMap((fields) => [...fields]).sort(omissionLast));
  const hash = rules.hashSecret === null ? (value: Json) => value : keyedHash(rules.hashSecret);
  const fieldsOf = (model: string) => byModel.get(model) ?? (findModel(model) === undefined ? everything : new Map());
  // The same is true of a record within a record.
  const nested = protectionFor(everything, new Map());
  const protectionOf = remembering(fieldsOf, aliasesOf, nested);
  return {
    protect: ((model, record) => redact(record, protectionOf(model), hash)) as Protect,
    /** Whether the model has protected fields. Records of other models may still contain records of such a model. */
    concerns: (model: string) => fieldsOf(model).size > 0,
    /** Whether a custom field is protected, so that its second names must be known. */
    needsAliases: [...everything.keys()].some((field) => field.startsWith('cf_')),
    /** Identifies these settings, including the key, without revealing the key. */
    fingerprint: fingerprintOf(rules),
  };
}

type Fields = ReadonlyMap<string, Treatment>;

function treatmentsByModel({ omit, hash }: PrivacyRules): ReadonlyMap<string, Fields> {
  const models = new Map<string, Map<string, Treatment>>();
  const add = (fields: readonly ProtectedField[], treatment: Treatment) => {
    for (const { model, field } of fields) models.set(model, (models.get(model) ?? new Map()).set(field, treatment));
  };
  add(hash, 'hash');
  add(omit, 'omit');
  return models;
}

/** If one name has two treatments, the stronger one counts. In a map, that is the last. */
const omissionLast = ([, a]: [string, Treatment], [, b]: [string, Treatment]) =>
  Number(a === 'omit') - Number(b === 'omit');

/** Computes a model's protection once, and again if its aliases have changed. */
function remembering(
  fieldsOf: (model: string) => Fields,
  aliasesOf: AliasesOf,
  nested: Protection,
): (model: string) => Protection {
  const known = new Map<string, { readonly aliases: ReturnType<AliasesOf>; readonly protection: Protection }>();
  return (model) => {
    const aliases = aliasesOf(model);
    const before = known.get(model);
    if (before !== undefined && before.aliases === aliases) return before.protection;
    const protection = { ...protectionFor(fieldsOf(model), aliases ?? new Map()), nested };
    if (known.size < MAX_REMEMBERED_MODELS) known.set(model, { aliases, protection });
    return protection;
  };
}

/** Limited because names of unknown models come from webhooks. */
const MAX_REMEMBERED_MODELS = 1_000;

function protectionFor(fields: Fields, aliases: ReadonlyMap<string, readonly string[]>): Protection {
  const treatments = new Map<string, Treatment | null>();
  for (const [alias, names] of aliases) {
    const all = names.map((name) => fields.get(name));
    const treatment = all.includes('omit') ? 'omit' : (all.find((one) => one !== undefined) ?? null);
    // Two aliases may differ only by case; if one is protected, both are.
    const key = alias.toLowerCase();
    treatments.set(key, treatment ?? treatments.get(key) ?? null);
  }
  const custom = [...fields].filter(([field]) => field.startsWith('cf_')).map(([, treatment]) => treatment);
  const unknownAlias = custom.includes('omit') ? 'omit' : (custom[0] ?? null);
  return { fields, aliases: treatments, unknownAlias };
}

function fingerprintOf({ omit, hash, hashSecret }: PrivacyRules): string {
  const names = (fields: readonly ProtectedField[]) => fields.map(({ model, field }) => `${model}.${field}`).sort();
  const text = JSON.stringify(['flowlu-mirror privacy settings', names(omit), names(hash)]);
  return createHmac('sha256', hashSecret ?? '')
    .update(text)
    .digest('hex')
    .slice(0, 32);
}
