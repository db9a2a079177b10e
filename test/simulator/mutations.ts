/** New records and plausible changes to existing ones. */
import { type ModelFacts, models, nameOf } from './catalog.ts';
import { customValues, type Definition } from './custom-fields.ts';
import type { Id, SimRecord, Value } from './json.ts';
import { portrait } from './portraits.ts';
import { between, chance, hash, pick, type Random, uuidFrom } from './random.ts';
import { madeUp, type World } from './values.ts';

/** Models that random changes touch: custom-field definitions stay put, since values elsewhere hang on them. */
export const RANDOM_MODELS: readonly string[] = models.map(nameOf).filter((name) => !name.startsWith('customfields.'));

/** Left alone by changes: what other fields of the record hang on. */
const TIED = /^merged_to|^uuid$|^currency_(id|code)$/;
const TIMES = /^(created|updated)(_date|_at)?$/;

const keyOf = (name: string, field: string): string => (name === 'crm.account' && field === 'VAT' ? 'vat' : field);

/** A whole new record: every documented field, and the custom ones. */
export function madeUpRecord(
  facts: ModelFacts,
  id: Id,
  random: Random,
  world: World,
  now: string,
  definitions: readonly Definition[],
): SimRecord {
  const name = nameOf(facts);
  const overrides = name.startsWith('customfields.') ? {} : portrait(name, between(random, 0, 999), random, world);
  const record: Record<string, Value> = {};
  for (const field of facts.fields) {
    const key = keyOf(name, field[0]);
    const made = madeUp(name, field, random, world);
    record[key] = overrides[key] === undefined ? made : overrides[key];
    if (TIMES.test(key) && field[2] === 'datetime') record[key] = now;
    if (/^merged_to/.test(key)) record[key] = 0;
    if (key === 'uuid') record[key] = uuidFrom(Number(BigInt(id) & 0xffffffffn), hash(random() * 2 ** 32), 0);
  }
  return { ...record, id, ...customValues(definitions, random, world) };
}

/** One to three documented fields with new values, and sometimes custom ones. */
export function madeUpPatch(
  facts: ModelFacts,
  previous: SimRecord,
  random: Random,
  world: World,
  definitions: readonly Definition[],
): Record<string, Value> {
  const name = nameOf(facts);
  const open = facts.fields.filter(
    ([field, , kind]) => kind !== 'id' && kind !== 'null' && !TIMES.test(field) && !TIED.test(field),
  );
  const patch: Record<string, Value> = {};
  if (open.length > 0) {
    for (let n = between(random, 1, 3); n > 0; n--) {
      const field = pick(random, open);
      const key = keyOf(name, field[0]);
      if (key in previous) patch[key] = madeUp(name, field, random, world);
    }
  }
  if (definitions.length > 0 && chance(random, 0.4)) {
    const values = customValues([pick(random, definitions)], random, world);
    for (const [key, value] of Object.entries(values)) if (key in previous) patch[key] = value;
  }
  return patch;
}
