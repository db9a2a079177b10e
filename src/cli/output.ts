/**
 * What commands say to people, and the only place that touches stdout and stderr.
 *
 * On a terminal: a framed table, colours, grouped digits. In a pipe: aligned columns without any of that,
 * so that grep, awk and sort can read them.
 */

import Table from 'cli-table3';
import pico from 'picocolors';
import { visible } from '../core/visible.ts';

/** What output needs of a stream; `process.stdout` and `process.stderr` fit. */
export interface TextStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

type Cell = string | number | bigint | boolean | Date | null | undefined;

/** One column of a table: its heading and how to read it from a row. Numbers align right. */
export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => Cell;
}

/** Bare columns: no frame, two spaces in between. */
const PLAIN_CHARS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

const guarded = new WeakSet<TextStream>();

/** Prints rows as a table; absent values read `-`. Prints only the headings when there are no rows. */
export function printTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  stream: TextStream = process.stdout,
): void {
  const framed = stream.isTTY === true;
  const bold = coloursOf(stream).bold;
  const cells = rows.map((row) => columns.map((column) => column.value(row)));
  const table = new Table({
    head: columns.map(({ header }) => bold(header)),
    colAligns: columns.map((_, index) => (cells.some((row) => isNumber(row[index])) ? 'right' : 'left')),
    style: framed
      ? { head: [], border: [], compact: true }
      : { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    ...(!framed && { chars: PLAIN_CHARS }),
  });
  table.push(...cells.map((row) => row.map((cell) => formatCell(cell, framed))));
  printLine(table.toString().replace(/[ ]+$/gm, ''), stream);
}

/** Prints a value as JSON: one line, bigint as a string because readers would round it. */
export function printJson(value: unknown, stream: TextStream = process.stdout): void {
  printLine(
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner)),
    stream,
  );
}

/** Prints one line of text. */
export function printLine(text = '', stream: TextStream = process.stdout): void {
  write(stream, `${text}\n`);
}

/** Prints a message on stderr. */
export function printError(message: string, stream: TextStream = process.stderr): void {
  write(stream, `${coloursOf(stream).red(visible(message, LAYOUT))}\n`);
}

/**
 * Writes text; a reader that went away (`… | head`) is not an error.
 * @param keep control characters that are meant; the layout, and on a terminal colours, when left out
 */
export function write(stream: TextStream, text: string, keep?: RegExp): void {
  if (!guarded.has(stream)) {
    guarded.add(stream);
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
    });
  }
  // Colours are ours, and where there is no terminal there are none.
  stream.write(visible(text, keep ?? (stream.isTTY === true ? LAYOUT_AND_COLOURS : LAYOUT)));
}

const LAYOUT = /[\n\t]+/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what colours begin with
const LAYOUT_AND_COLOURS = /(?:[\n\t]|\u001b\[[\d;]{0,20}m)+/;

/** Colours for a stream: plain functions when it is not a terminal or when NO_COLOR is set. */
export function coloursOf(stream: TextStream) {
  return pico.createColors(stream.isTTY === true && pico.isColorSupported);
}

/** A count with its digits grouped: 1,234,567. */
export function formatCount(count: number | bigint): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 2 });
}

/** A length of time with its two largest units: 850ms, 4.2s, 3m 05s, 2h 07m, 5d 03h. */
export function formatDuration(millis: number): string {
  if (millis < 1_000) return `${Math.round(millis)}ms`;
  if (millis < 59_950) return `${(millis / 1_000).toFixed(1)}s`;
  const seconds = Math.round(millis / 1_000);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h ${two((seconds % 3_600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d ${two((seconds % 86_400) / 3_600)}h`;
}

function formatCell(cell: Cell, framed: boolean): string {
  if (cell === null || cell === undefined || cell === '') return '-';
  if (cell instanceof Date) return cell.toISOString();
  if (isNumber(cell)) return framed ? formatCount(cell) : String(cell);
  // A value from the portal must not move the cursor, set colours or break the line.
  return visible(String(cell));
}

function isNumber(cell: Cell): cell is number | bigint {
  return typeof cell === 'number' || typeof cell === 'bigint';
}
