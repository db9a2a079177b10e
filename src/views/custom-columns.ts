/**
 * Under which names custom fields stand in the live views. Pure.
 *
 * A name is `cf_` and the field's alias, else its title, made an identifier. Once given it is remembered, so that no
 * other field's coming or going moves it. When alias or title change, the field gets the name that follows from them;
 * the former one stays beside it for a while, since saved queries may use it.
 */

import anyAscii from 'any-ascii';
import { groupBy } from '../core/group.ts';
import type { CustomField } from '../mirror-rows/custom-fields.ts';
import type { GivenName } from '../store/custom-columns.ts';

export interface CustomColumn {
  readonly field: CustomField;
  readonly name: string;
  /** Former names that are still shown, and until when (ms). */
  readonly former: readonly { readonly name: string; readonly untilMs: number }[];
  /** Former names that are no longer shown unless something depends on them. */
  readonly past: readonly string[];
  /** Keys of the record that hold the value if neither the number nor the present alias does. */
  readonly oldKeys: readonly string[];
}

const FORMER_NAME_DAYS = 30;
const FORMER_NAME_MS = FORMER_NAME_DAYS * 86_400_000;
const MAX_FORMER_NAMES = 20;
/** Leaves room for a number and a suffix within PostgreSQL's 63 bytes. */
const MAX_BASE_LENGTH = 40;
/** Of a longer title the beginning is enough. */
const MAX_WORDING_LENGTH = 1_000;
/** Columns that a custom field may have beside its own, by what they append to its name. */
export const COMPANIONS = ['', '_raw', '_label', '_text'] as const;

export function baseName({ id, alias, title }: Pick<CustomField, 'id' | 'alias' | 'title'>): string {
  const wording = [alias.replace(/^cf_/i, ''), title].map(toIdentifier).find((text) => text !== '');
  return `cf_${wording ?? id}`;
}

/** A word of lower-case letters, digits and underscores, perhaps empty, that leaves room for a number and a suffix. */
export function toIdentifier(text: string): string {
  const word = anyAscii(text.slice(0, MAX_WORDING_LENGTH))
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_');
  return word.replace(/^_+/, '').slice(0, MAX_BASE_LENGTH).replace(/_+$/, '');
}

/**
 * Gives every field of one model its name.
 * @param fields those defined now, in order of id.
 * @param given names that were given before, also to fields that are gone.
 * @param reserved the model's own column names.
 * @returns what to show, and what to remember from now on.
 */
export function nameColumns(
  fields: readonly CustomField[],
  given: readonly GivenName[],
  reserved: ReadonlySet<string>,
  nowMs: number,
): { readonly columns: readonly CustomColumn[]; readonly names: readonly GivenName[] } {
  const alive = new Set(fields.map(({ id }) => id));
  const isExpired = ({ formerSinceMs }: GivenName) => formerSinceMs !== null && formerSinceMs + FORMER_NAME_MS <= nowMs;
  // Whatever a field that exists was called lately is its own; names of fields that are gone are free.
  const claimed = new Set(reserved);
  const claim = (name: string) => {
    for (const suffix of COMPANIONS) claimed.add(name + suffix);
  };
  const isFree = (name: string) => COMPANIONS.every((suffix) => !claimed.has(name + suffix));
  const usable = given.filter((row) => isFree(row.name));
  for (const row of usable) if (alive.has(row.fieldId) && !isExpired(row)) claim(row.name);

  const usableOf = groupBy(usable, ({ fieldId }) => fieldId);
  const named = fields.map((field) => {
    const base = baseName(field);
    const rows = usableOf.get(field.id) ?? [];
    const kept = rows.find((row) => row.base === base && !isExpired(row));
    const name = kept?.name ?? freeName(base, field.id, isFree);
    claim(name);
    return { field, base, name, rows };
  });
  const current = new Set(fields.map(({ alias }) => alias));

  const names: GivenName[] = [];
  const columns = named.map(({ field, base, name, rows }): CustomColumn => {
    const before = rows.find((row) => row.name === name);
    const aliases = [...new Set([...(before?.aliases ?? []), ...(field.alias === '' ? [] : [field.alias])])];
    const others = rows
      .filter((row) => row.name !== name && (!isExpired(row) || isFree(row.name)))
      .map((row) => ({ ...row, formerSinceMs: row.formerSinceMs ?? nowMs }))
      .sort((a, b) => b.formerSinceMs - a.formerSinceMs)
      .slice(0, MAX_FORMER_NAMES);
    names.push({ fieldId: field.id, model: field.model, name, base, aliases, formerSinceMs: null }, ...others);
    const oldAliases = [...aliases, ...others.flatMap((row) => row.aliases)].filter((alias) => !current.has(alias));
    return {
      field,
      name,
      former: others
        .filter((row) => !isExpired(row))
        .map((row) => ({ name: row.name, untilMs: row.formerSinceMs + FORMER_NAME_MS })),
      past: others.filter(isExpired).map((row) => row.name),
      oldKeys: [...new Set(oldAliases)].map((alias) => `cf_${alias}`),
    };
  });
  // A field that comes back finds its name again, unless another one has it by then.
  const gone = usable.filter((row) => !alive.has(row.fieldId) && isFree(row.name));
  return { columns, names: [...names, ...gone] };
}

/** The base itself; where it is taken, with the field's number, which no other field has. */
function freeName(base: string, id: string, isFree: (name: string) => boolean): string {
  const candidates = [base, `${base}_${id}`, `cf_${id}`];
  const found = candidates.find(isFree);
  if (found !== undefined) return found;
  // Others may have been called just so; they are finitely many.
  for (let count = 2; ; count += 1) {
    const name = `cf_${id}_${count}`;
    if (isFree(name)) return name;
  }
}
