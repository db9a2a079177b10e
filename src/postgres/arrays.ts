/** Many values as one parameter, so that a statement's text is constant, and stays prepared, however many travel. */
import { randomBytes } from 'node:crypto';

/** The literal of an array of ids or hashes, which hold nothing that needs quoting. */
export function plainArrayLiteral(items: readonly (string | null)[]): string {
  return `{${items.map((item) => item ?? 'NULL').join(',')}}`;
}

/** A value on its way into a column, as its type's input function reads it. */
export type RowItem = string | boolean | null;

/**
 * The first parameters of a statement over `ROWS_SOURCE`: all rows as one text, and what it is taken apart by. Nothing is
 * escaped: what stands between two values is a character that occurs in none of them.
 * @param rows of at least two values each
 */
export function rowsText(rows: readonly (readonly RowItem[])[]): string[] {
  const { value, row, nothing } = marksFor(rows);
  const text = rows.map((items) => items.map((item) => textOf(item, nothing)).join(value)).join(row);
  return [text, row, value, nothing];
}

/** How many parameters those are. */
export const ROWS_PARAMETERS = 4;

/**
 * Those rows as a source: one array `v` for each, of its values in their order. `offset 0` keeps the planner from taking a
 * row apart again for each of its values.
 */
export const ROWS_SOURCE = `(select string_to_array(line, $3, $4) as v from unnest(string_to_array($1, $2)) as l(line) offset 0) as n`;

/** SQL for a value of a row of the source; the first one has place 1. */
export const rowValue = (place: number): string => `n.v[${place}]`;

interface Marks {
  /** Occur in no value. */
  readonly value: string;
  readonly row: string;
  /** Stands for null, and is no value. */
  readonly nothing: string;
}

/** Control characters made for this, which JSON cannot hold and people do not type. */
const USUAL: Marks = { value: '\u001f', row: '\u001e', nothing: '\u001d' };

function marksFor(rows: readonly (readonly RowItem[])[]): Marks {
  if (!rows.some((items) => items.some((item) => isMistakable(item, USUAL)))) return USUAL;
  const secret = randomBytes(16).toString('hex');
  // They end with another character than they begin with, so that the end of a value never counts as a beginning.
  return { value: `\u001f${secret}\u001c`, row: `\u001e${secret}\u001c`, nothing: `\u001d${secret}` };
}

function isMistakable(item: RowItem, { value, row, nothing }: Marks): boolean {
  return typeof item === 'string' && (item === nothing || item.includes(value) || item.includes(row));
}

function textOf(item: RowItem, nothing: string): string {
  if (typeof item === 'string') return item;
  return item === null ? nothing : item ? 't' : 'f';
}
