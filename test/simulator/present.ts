/** How a record is spelt in an answer or a webhook, oddities included. */
import { findModel } from './catalog.ts';
import type { FaultCheck } from './faults.ts';
import { ExactNumber, type SimRecord, type Value } from './json.ts';
import { renamed } from './portal.ts';

export interface Presentation {
  readonly numbersAsStrings: boolean;
  readonly idsAsStrings: boolean;
  readonly flags: 'boolean' | 'string' | undefined;
  readonly emptyDates: string | null | undefined;
  readonly omitCustomFields: boolean;
  readonly aliases: ReadonlyMap<string, string>;
}

export function presentationOf(
  check: FaultCheck,
  method: 'list' | 'get',
  aliases: ReadonlyMap<string, string>,
): Presentation {
  return {
    numbersAsStrings: check.hits('numbersAsStrings'),
    idsAsStrings: check.hits('idsAsStrings'),
    flags: check.value('flags', 'boolean'),
    emptyDates: check.value('emptyDates', '0000-00-00 00:00:00'),
    omitCustomFields: method === 'list' && check.hits('omitCustomFields'),
    aliases,
  };
}

/** True when records go out as they are, so that seeded text can be sent without building objects. */
export const isPlain = (how: Presentation): boolean =>
  !how.numbersAsStrings &&
  !how.idsAsStrings &&
  how.flags === undefined &&
  how.emptyDates === undefined &&
  !how.omitCustomFields &&
  how.aliases.size === 0;

const kindsByModel = new Map<string, ReadonlyMap<string, string>>();

function kindsOf(model: string): ReadonlyMap<string, string> {
  let kinds = kindsByModel.get(model);
  if (kinds === undefined) {
    const facts = findModel(model);
    const later = (facts?.fields ?? []).map(([name, , kind]) => [name, kind] as const);
    kinds = new Map(later);
    kindsByModel.set(model, kinds);
  }
  return kinds;
}

function spelt(value: Value, kind: string | undefined, how: Presentation): Value {
  if (kind === 'datetime' && value === null && how.emptyDates !== undefined) return how.emptyDates;
  if (kind === 'flag' && how.flags !== undefined && (value === 0 || value === 1)) {
    return how.flags === 'boolean' ? value === 1 : String(value);
  }
  const isNumber = typeof value === 'number' || typeof value === 'bigint' || value instanceof ExactNumber;
  if (!isNumber) return value;
  if (how.numbersAsStrings || (how.idsAsStrings && (kind === 'id' || kind === 'ref'))) return String(value);
  return value;
}

/** The record as this answer spells it. The account's tax id is `VAT` in list, `vat` elsewhere. */
export function present(model: string, record: SimRecord, how: Presentation, method: 'list' | 'get'): SimRecord {
  const kinds = kindsOf(model);
  const shown: Record<string, Value> = {};
  for (const [key, value] of Object.entries(renamed(record, how.aliases))) {
    if (how.omitCustomFields && key.startsWith('cf_')) continue;
    const name = method === 'list' && model === 'crm.account' && key === 'vat' ? 'VAT' : key;
    shown[name] = spelt(value, kinds.get(key), how);
  }
  return shown;
}
