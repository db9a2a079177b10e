/** The output of commands, and the only code that writes to stdout and stderr. */
import pico from 'picocolors';
import { asTyped } from '../core/typed.ts';
import { visible } from '../core/visible.ts';
import type { Check } from '../doctor/check.ts';
import { count } from '../status/words.ts';

/** The part of a stream that output needs; `process.stdout` and `process.stderr` fit. */
export interface TextStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

type Cell = string | number | bigint | boolean | Date | null | undefined;

/** A column of a table: a field of the rows, or a heading and how to read it from a row. Numbers are right-aligned. */
export type Column<Row> = (keyof Row & string) | readonly [header: string, value: (row: Row) => Cell];

/**
 * Prints rows as a table; absent values are shown as `-`, and without rows only the headings. On a terminal, digits are
 * grouped and no line is wider than the screen.
 */
export function printTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  stream: TextStream = process.stdout,
): void {
  const isTerminal = stream.isTTY === true;
  // A terminal that does not tell its width, as some of CI or editors, breaks lines itself.
  const width = (isTerminal && stream.columns) || Number.POSITIVE_INFINITY;
  const fields = columns.map((column) =>
    typeof column === 'string'
      ? { header: column.replaceAll('_', ' '), value: (row: Row) => row[column] as Cell }
      : { header: column[0], value: column[1] },
  );
  const lines = fields.map(({ header, value }) => {
    const cells = rows.map(value);
    const texts = [header, ...cells.map((cell) => formatCell(cell, isTerminal))];
    const longest = texts.reduce((most, { length }) => Math.max(most, length), 0);
    const pad = cells.some(isNumber) ? 'padStart' : 'padEnd';
    return texts.map((text) => text[pad](longest));
  });
  for (let index = 0; index <= rows.length; index += 1) {
    const line = lines.map((texts) => texts[index]).join('  ');
    const text = line.trimEnd();
    const shown = text.length > width ? `${text.slice(0, width - 1)}…` : text;
    printLine(index === 0 ? coloursOf(stream).bold(shown) : shown, stream);
  }
}

/** Prints a value as one line of JSON, bigint as a string because readers would round it. A string is already JSON. */
export function printJson(value: unknown, stream: TextStream = process.stdout): void {
  const exact = (_: string, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner);
  write(stream, `${typeof value === 'string' ? value : JSON.stringify(value, exact)}\n`);
}

export function printLine(text = '', stream: TextStream = process.stdout): void {
  write(stream, `${asTyped(text)}\n`);
}

export function printCheck({ name, status, found, advice }: Check): void {
  const { green, yellow, red, dim } = coloursOf(process.stdout);
  const mark = { ok: green('✔'), note: dim('·'), warn: yellow('!'), fail: red('✖') }[status];
  printLine(`${mark} ${name}: ${found.replace(/\p{Cc}+/gu, ' ')}`);
  if (advice) printLine(`    ${advice}`);
}

export function printError(message: string, stream: TextStream = process.stderr): void {
  write(stream, `${coloursOf(stream).red(visible(asTyped(message), LAYOUT))}\n`);
}

const guarded = new WeakSet<TextStream>();

/** Writes text, above the pinned line if there is one. A reader that has gone away (`… | head`) is not an error. */
export function write(stream: TextStream, text: string): void {
  guard(stream);
  pinned?.erase();
  // Colours come only from us, and only on a terminal.
  stream.write(visible(text, stream.isTTY === true ? LAYOUT_AND_COLOURS : LAYOUT));
}

function guard(stream: TextStream): void {
  if (guarded.has(stream)) return;
  guarded.add(stream);
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
  });
}

const LAYOUT = /[\n\t]+/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what colours begin with
const LAYOUT_AND_COLOURS = /(?:[\n\t]|\u001b\[[\d;]{0,20}m)+/;

const FRAME_MS = 100;
let pinned: { readonly erase: () => void; readonly end: () => void } | null = null;

/**
 * Keeps a line below everything printed on a terminal, replacing an earlier one. Does nothing without a terminal.
 * @returns a function that removes it
 */
export function pinLine(render: (frame: number) => string, stream: TextStream, delayMs = 0): () => void {
  pinned?.end();
  if (stream.isTTY !== true) return () => {};
  guard(stream);
  let frame = 0;
  let isShown = false;
  const timer = setInterval(() => {
    frame += 1;
    if (frame * FRAME_MS <= delayMs) return;
    isShown = true;
    stream.write(`\r${visible(render(frame))}\u001b[K`);
  }, FRAME_MS);
  timer.unref();
  const erase = () => {
    if (isShown) stream.write('\r\u001b[K');
    isShown = false;
  };
  const end = () => {
    clearInterval(timer);
    erase();
    if (pinned?.end === end) pinned = null;
  };
  pinned = { erase, end };
  return end;
}

const TURNING = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';

/** Shows on a terminal that something is in progress, after one second. @returns a function that removes it */
export function spin(what: string, stream: TextStream = process.stderr): () => void {
  return pinLine((frame) => `${TURNING[frame % TURNING.length]} ${what}`, stream, 1_000);
}

/** Colours for a stream: plain functions if it is not a terminal or NO_COLOR is set. */
export function coloursOf(stream: TextStream) {
  return pico.createColors(stream.isTTY === true && pico.isColorSupported);
}

function formatCell(cell: Cell, isTerminal: boolean): string {
  if (cell === null || cell === undefined || cell === '') return '-';
  if (cell instanceof Date) return cell.toISOString();
  if (isNumber(cell)) return isTerminal ? count(cell) : String(cell);
  // A value from the portal must not move the cursor, set colours or break the line.
  return visible(String(cell));
}

function isNumber(cell: Cell): cell is number | bigint {
  return typeof cell === 'number' || typeof cell === 'bigint';
}
