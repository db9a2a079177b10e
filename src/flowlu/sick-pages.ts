/**
 * Reading around what is broken: a page that fails is asked for in smaller ones, down to the single row.
 *
 * A page may be too heavy (5xx, a time-out, too large), or hold a record that breaks every answer that contains it,
 * whether with an error or with no rows at all. Both look like a portal that is down for a moment, so before a page is
 * taken apart something else must have been answered.
 */

import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import type { Patience } from './client.ts';
import { FlowluError } from './errors.ts';

/** One answer, its ids read. */
export interface Answer {
  readonly items: readonly JsonObject[];
  readonly ids: readonly string[];
  readonly total: number | null;
  readonly observedAt: Micros;
  /** False when the answer's form hides in which order the portal sent the rows. */
  readonly ordered: boolean;
}

/** Asks for `size` rows from a position that is a multiple of it. */
export type Ask = (offset: number, size: number, patience: Patience) => Promise<Answer>;

/** Positions whose rows no answer brings. */
export interface Gap {
  /** How many rows of the block come before it. */
  readonly after: number;
  readonly count: number;
  readonly why: string;
}

export interface Block extends Answer {
  readonly gaps: readonly Gap[];
  /** The size of the parts that the block had to be read in, where that alone was what it took. */
  readonly readableSize: number | null;
  /** No row came, and nothing shows that none follows the rows before. */
  readonly isOpen: boolean;
}

/** What a block was taken apart into. */
type Part = (Answer & { readonly asked: number }) | Gap;

/** Other rows came than lie on a page of the size asked for: the portal grants no more on any page. */
export class GrantedSizeFound extends Error {
  override readonly name = 'GrantedSizeFound';
  readonly size: number;

  constructor(size: number) {
    super(`the portal grants ${size} rows on a page`);
    this.size = size;
  }
}

interface Outcome {
  readonly answer: Answer | null;
  readonly failure: string | null;
}

/**
 * Reads the block of `size` rows at `offset`.
 * @param expected rows that are known to lie from there on: an answer without any of them is a failure, too. Null for
 *   as many as the answer itself counts; `Infinity` where nobody has counted any yet.
 * @param positions where rows were met, added to; null where the portal is known to grant pages of that size: where it
 *   does not, they lie elsewhere.
 * @param provesEnd whether nothing follows the rows before, asked where nobody counts and none come; null for the first.
 * @throws FlowluError when nothing around it is answered either; what `ask` throws that a smaller page cannot heal;
 *   GrantedSizeFound.
 */
export async function readBlock(
  ask: Ask,
  offset: number,
  size: number,
  expected: number | null,
  positions: Map<string, number> | null,
  provesEnd: (() => Promise<boolean>) | null,
): Promise<Block> {
  const tried = new Map<string, Outcome>();
  const met = new Set<string>();
  let ignoresSize = false;
  /** Rows of the longest answer: so many are granted at least. */
  let longest = 0;
  const isCounted = expected !== null && expected !== UNCOUNTED;
  /** Where rows are expected to end, unless the answer itself says so. */
  const due = expected === null ? 0 : offset + expected;
  /** What the latest part counts, where that is no count of the part alone: some portals repeat their last page beyond. */
  let total: number | null = null;
  let isMiscounted = false;

  /** Whether a page came with fewer rows than lie there, or with rows that lie before it. */
  function isCut({ ids, total }: Answer, at: number, rows: number): boolean {
    if (positions === null) return false;
    const isOff = total !== null && total > at && ids.length !== Math.min(rows, total - at);
    const isElsewhere = ids.some((id) => (positions.get(id) ?? at) < at);
    for (const [index, id] of ids.entries()) positions.set(id, Math.min(positions.get(id) ?? at + index, at + index));
    const isFirst = at === 0 && rows === size;
    return !isFirst && ids.length > 0 && ids.length < rows && (isOff || isElsewhere);
  }

  async function attempt(at: number, rows: number, patience: Patience): Promise<Outcome> {
    const key = `${at} ${rows}`;
    const known = tried.get(key);
    if (known !== undefined) return known;
    const outcome = await ask(at, rows, patience).then(
      (answer): Outcome => {
        const { length } = answer.ids;
        if (length > rows) ignoresSize = true;
        longest = Math.max(longest, length);
        if (isCut(answer, at, rows)) throw new GrantedSizeFound(longest);
        // Rows may also have been deleted since they were counted; a count of nothing at all proves no such thing, nor
        // does one that the rows before have refuted.
        const said = expected === UNCOUNTED && (offset > 0 || provesEnd !== null) ? null : answer.total;
        const isPastEnd = said !== null && said > 0 && said <= at;
        const isExpected = at < (said === null || isCounted ? due : said);
        const isMissing = length === 0 && isExpected && !isPastEnd;
        return { answer, failure: isMissing ? SENDS_NONE : null };
      },
      (error): Outcome => ({ answer: onTooMuch(error), failure: (error as FlowluError).message }),
    );
    tried.set(key, outcome);
    return outcome;
  }

  /** Whether anything else is answered: smaller pages at the same place, the rows next to it, the block after it. */
  async function isPortalWell(isEmpty: boolean): Promise<boolean> {
    const sizes: number[] = [];
    for (let rows = smaller(size); rows < (sizes.at(-1) ?? size); rows = smaller(rows)) sizes.push(rows);
    const neighbours: number[] = [];
    // The nearest ones without a gap, since a few broken rows in a run may end just before the last row of all.
    for (let step = 1; step < size; step += step < NEAR ? 1 : step) neighbours.push(offset + step);
    const places: (readonly [number, number])[] = [
      ...sizes.map((rows) => [offset, rows] as const),
      ...neighbours.map((at) => [at, 1] as const),
      [offset + size, size],
    ];
    for (const [at, rows] of places) {
      const { answer, failure } = await attempt(at, rows, 'once');
      if (failure === null && (answer?.ids.length !== 0 || !isEmpty)) return true;
    }
    return false;
  }

  /**
   * The block as a gap, where the portal grants as many rows whatever is asked for: then no smaller page can be had. Null
   * where it does not.
   */
  async function asOneGap(why: string): Promise<Block | null> {
    const place = offset > 0 ? 0 : 1;
    const other = size === 1 ? null : await ask(place, 1, 'once').catch(onTooMuch);
    if (other === null || other.ids.length < 2) return null;
    const { length } = other.ids;
    const isLast = place > 0 && other.total !== null && (await ask(2, 1, 'once').catch(onTooMuch))?.ids.length === 0;
    const granted = isLast && other.total !== null ? other.total - length : length;
    if (granted !== size && positions !== null) throw new GrantedSizeFound(granted);
    const left = isCounted ? expected : (other.total ?? Number.POSITIVE_INFINITY) - offset;
    const count = Math.max(0, Math.min(size, left));
    return join(count === 0 ? [] : [{ after: 0, count, why }]);
  }

  /** Whether the count says that nothing lies from here on, and no new row comes from here or from after the block. */
  async function isEnd(at: number, rows: number): Promise<boolean> {
    if (isMiscounted || total === null || at < total) return false;
    for (const place of [[at, rows] as const, [offset + size, size] as const]) {
      const answer = await ask(...place, 'once').catch(onTooMuch);
      isMiscounted ||= answer?.ids.some((id) => !met.has(id)) === true;
    }
    return !isMiscounted;
  }

  async function takeApart(at: number, rows: number): Promise<readonly Part[]> {
    const part = smaller(rows);
    const parts: Part[] = [];
    for (let next = at; next < at + rows && !(await isEnd(next, part)); next += part) {
      const { answer, failure } = await attempt(next, part, part === 1 ? 'brief' : 'once');
      if (answer !== null && failure === null) parts.push({ ...answer, asked: part });
      else if (part === 1) parts.push({ after: 0, count: 1, why: failure as string });
      else parts.push(...(await takeApart(next, part)));
      for (const id of answer?.ids ?? []) met.add(id);
      if (answer?.total && answer.total >= next + answer.ids.length) total = answer.total;
    }
    return parts;
  }

  const { answer, failure } = await attempt(offset, size, 'brief');
  const whole = { gaps: [], readableSize: null, isOpen: false };
  if (answer !== null && (failure === null || (await provesEnd?.()))) return { ...answer, ...whole };
  const gap = await asOneGap(failure as string);
  if (gap !== null) return gap;
  if (!(await isPortalWell(answer !== null))) {
    const patient = answer ?? (await ask(offset, size, 'full'));
    return { ...patient, ...whole, isOpen: provesEnd !== null && patient.ids.length === 0 };
  }
  if (ignoresSize || size === 1) return join([{ after: 0, count: size, why: failure as string }]);
  const parts = await takeApart(offset, size);
  // Where nobody counts, only rows after them tell rows that break their lists from empty places at the end.
  const end = 1 + parts.findLastIndex((part) => 'ids' in part || part.why !== SENDS_NONE);
  const isCertain = expected !== UNCOUNTED || total !== null || end === parts.length;
  const rowsFollow = isCertain || (await attempt(offset + size, size, 'once')).answer?.ids.length;
  return join(rowsFollow ? parts : parts.slice(0, end));
}

/** @throws what a smaller page cannot heal. */
export function onTooMuch(error: unknown): null {
  if (error instanceof FlowluError && error.mayBeTooMuch) return null;
  throw error;
}

export const SENDS_NONE = 'the portal counts more rows but sends none';

/** Rows to expect where nobody has counted any: an empty answer that does not count them either is looked into. */
export const UNCOUNTED = Number.POSITIVE_INFINITY;

/** So many places behind a failure are tried one by one; those beyond at distances that double. */
const NEAR = 4;

/** The next smaller size whose pages fall together with those of this one. */
function smaller(size: number): number {
  for (let factor = 2; factor * factor <= size; factor += 1) if (size % factor === 0) return size / factor;
  return 1;
}

function join(parts: readonly Part[]): Block {
  const answers = parts.filter((part) => 'ids' in part);
  const gaps: Gap[] = [];
  let rows = 0;
  for (const part of parts) {
    const last = gaps.at(-1);
    if ('ids' in part) rows += part.ids.length;
    else if (last?.after === rows) gaps[gaps.length - 1] = { ...last, count: last.count + part.count };
    else gaps.push({ ...part, after: rows });
  }
  return {
    items: answers.flatMap(({ items }) => items),
    ids: answers.flatMap(({ ids }) => ids),
    total: answers.at(-1)?.total ?? null,
    observedAt: Math.min(...answers.map(({ observedAt }) => observedAt), Number.MAX_SAFE_INTEGER),
    ordered: answers.every(({ ordered }) => ordered),
    gaps,
    isOpen: parts.length === 0,
    readableSize: gaps.length > 0 ? null : Math.max(...answers.map(({ asked }) => asked)),
  };
}
