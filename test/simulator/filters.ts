/** `filter[field]=…` in all documented forms. */
import { ExactNumber, type Value } from './json.ts';

export interface Filter {
  readonly field: string;
  readonly kind: 'date' | 'more' | 'less' | 'range' | 'exact';
  readonly test: (value: Value | undefined) => boolean;
  /** Bounds and candidates, so that a filter on `id` need not walk the table. */
  readonly above?: string;
  readonly below?: string;
  readonly oneOf?: readonly string[];
}

export interface FilterOptions {
  /** How date bounds are read; default to the second, bounds included. */
  readonly dateBounds?: 'day' | 'exclusive' | undefined;
}

const textOf = (value: Value | undefined): string => {
  if (value === null || value === undefined) return '';
  if (value instanceof ExactNumber || typeof value !== 'object')
    return value === true ? '1' : value === false ? '0' : String(value);
  return '';
};

const NUMERIC = /^-?\d+(\.\d+)?$/;

export type SortKey = number | bigint | string;

/** What a value sorts by: numbers (ids beyond 2^53 too) by size, everything else by text. */
export function sortKey(value: Value | undefined): SortKey {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  const text = textOf(value);
  if (!NUMERIC.test(text)) return text;
  const number = Number(text);
  return text.includes('.') || Number.isSafeInteger(number) ? number : BigInt(text);
}

export function compareKeys(a: SortKey, b: SortKey): number {
  if ((typeof a === 'string') === (typeof b === 'string')) return a < b ? -1 : Number(a > b);
  return String(a) < String(b) ? -1 : 1;
}

const compareValues = (a: Value | undefined, b: Value | undefined): number => compareKeys(sortKey(a), sortKey(b));

const equals = (value: Value | undefined, wanted: string): boolean => {
  const text = textOf(value);
  return text === wanted || (NUMERIC.test(text) && NUMERIC.test(wanted) && compareValues(value, wanted) === 0);
};

function dateTest(from: string, to: string, options: FilterOptions): Filter['test'] {
  // A bound given as a day covers the whole day, so values are cut to the length of the bound.
  const lengthOf = (bound: string): number => (options.dateBounds === 'day' ? 10 : bound.length);
  const cut = (text: string, bound: string): readonly [string, string] => [
    text.slice(0, lengthOf(bound)),
    bound.slice(0, lengthOf(bound)),
  ];
  const open = options.dateBounds === 'exclusive';
  return (value) => {
    const text = textOf(value);
    if (text === '') return false;
    if (from !== '') {
      const [have, bound] = cut(text, from);
      if (have < bound || (open && have === bound)) return false;
    }
    if (to !== '') {
      const [have, bound] = cut(text, to);
      if (have > bound || (open && have === bound)) return false;
    }
    return true;
  };
}

function structured(field: string, form: Record<string, unknown>, options: FilterOptions): Filter | undefined {
  const bound = (name: string): string => String(form[name] ?? '');
  if ('start_date' in form || 'end_date' in form) {
    return { field, kind: 'date', test: dateTest(bound('start_date'), bound('end_date'), options) };
  }
  const wanted = bound('value');
  switch (form.type) {
    case 'more':
      return {
        field,
        kind: 'more',
        above: wanted,
        test: (value) => textOf(value) !== '' && compareValues(value, wanted) > 0,
      };
    case 'less':
      return {
        field,
        kind: 'less',
        below: wanted,
        test: (value) => textOf(value) !== '' && compareValues(value, wanted) < 0,
      };
    case 'exact_value':
      return { field, kind: 'exact', test: (value) => equals(value, wanted) };
    case 'range': {
      const [low, high] = [bound('start_value'), bound('end_value')];
      const test: Filter['test'] = (value) =>
        textOf(value) !== '' && compareValues(value, low) >= 0 && compareValues(value, high) <= 0;
      return { field, kind: 'range', test };
    }
    default:
      return undefined;
  }
}

function plain(field: string, raw: string): Filter {
  const wanted = raw.replace(/^!/, '').split(',');
  const isOneOf: Filter['test'] = (value) => wanted.some((one) => equals(value, one));
  if (raw.startsWith('!')) return { field, kind: 'exact', test: (value) => !isOneOf(value) };
  return { field, kind: 'exact', oneOf: wanted, test: isOneOf };
}

/** Reads one filter; undefined for JSON that is no documented form, which the portal ignores. */
export function parseFilter(field: string, raw: string, options: FilterOptions = {}): Filter | undefined {
  if (!raw.startsWith('{')) return plain(field, raw);
  try {
    // Ids beyond 2^53 must not be rounded: bare digits become text before parsing.
    const exact = raw.replace(/:\s*(\d{16,19})\s*([,}])/g, ':"$1"$2');
    return structured(field, JSON.parse(exact) as Record<string, unknown>, options);
  } catch {
    return undefined;
  }
}
