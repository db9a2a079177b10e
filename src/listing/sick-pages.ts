/**
 * Reading around what is broken: a page that fails is asked for in smaller ones, down to the single row.
 *
 * A page may be too heavy (5xx, a time-out, too large), or hold a record that breaks every answer that contains it,
 * whether with an error or with no rows at all. Both look like a portal that is down for a moment, so before a page is
 * taken apart something else must have been answered.
 */

import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import type { Patience } from '../flowlu/client.ts';
import { FlowluError } from '../flowlu/errors.ts';

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

/** What is known of the listing that a block belongs to. */
export interface Surroundings {
  /**
   * Rows that are known to lie from the block on: an answer without any of them is a failure, too. Null for as many as
   * the answer itself counts; `Infinity` where nobody has counted any yet.
   */
  readonly expected: number | null;
  /** Where rows were met, added to; null where the portal is known to grant pages of that size: else they lie elsewhere. */
  readonly positions: Map<string, number> | null;
  /** Whether nothing follows the rows before, asked where nobody counts and none come; null for the first. */
  readonly provesEnd: (() => Promise<boolean>) | null;
  /** How many rows the caller holds of the model; null where it holds none and expects none. */
  readonly held: () => Promise<number | null>;
  /** Whether a first page is asked about again that brings no row. */
  readonly doubtsNone: boolean;
  /** A page of the block's size that brought rows, counted from 0. */
  readonly goodPage: number | null;
  /** Whether the page before lacked rows: then it was the last one, or something is wrong with it. */
  readonly isAfterShort: boolean;
  /** How many rows that follow the last one are read singly; null where that cannot be told. */
  readonly rowsAfter: () => Promise<number | null>;
}

/**
 * Reads the block of `size` rows at `offset`.
 * @throws FlowluError when nothing around it is answered either; what `ask` throws that a smaller page cannot heal;
 *   GrantedSizeFound.
 */
export async function readBlock(ask: Ask, offset: number, size: number, surroundings: Surroundings): Promise<Block> {
  const { expected, positions, provesEnd, goodPage } = surroundings;
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

  /** Whether no row came from a place that rows are expected at. */
  function lacksRows({ ids, total }: Answer, at: number): boolean {
    // Rows may also have been deleted since they were counted; a count of nothing at all proves no such thing, nor does
    // one that the rows before have refuted.
    const isRefuted = offset > 0 || provesEnd !== null || (total === 0 && longest > 0);
    const said = expected === UNCOUNTED && isRefuted ? null : total;
    const isPastEnd = said !== null && said > 0 && said <= at;
    const isExpected = at < (said === null || isCounted ? due : said);
    return ids.length === 0 && isExpected && !isPastEnd;
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
        return { answer, failure: lacksRows(answer, at) ? SENDS_NONE : null };
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

  /** An answer of several rows to a request for one, from a page that need not be broken, or null. */
  async function oversized(): Promise<Answer | null> {
    const first = offset / size + 1;
    const places = goodPage === null ? [first, first + 1, first + 2, first + 3] : [goodPage];
    for (const place of size === 1 ? [] : places) {
      const { answer } = await attempt(place, 1, 'once');
      if (answer === null || answer.ids.length === 0) continue;
      if (answer.ids.length > 1 && positions !== null) await grant(place, answer);
      return answer.ids.length > 1 ? answer : null;
    }
    return null;
  }

  /**
   * The block where the portal grants as many rows whatever is asked for, so that no smaller page can be had: a gap, or
   * nothing beyond the end. Null where it does not.
   */
  async function asOneGap({ answer, failure }: Outcome): Promise<Block | null> {
    const other = await oversized();
    if (other === null) return null;
    const counted = isCounted ? expected : (other.total ?? 0) - offset;
    const left = isCounted || counted > 0 ? counted : UNCOUNTED;
    const end = answer !== null && (left > size || surroundings.isAfterShort) ? await endOr(answer) : null;
    return end ?? join(left > 0 ? [{ after: 0, count: Math.min(size, left), why: failure as string }] : []);
  }

  /** @throws GrantedSizeFound unless pages of the block's size are what the portal grants. */
  async function grant(place: number, { ids: { length }, total }: Answer): Promise<void> {
    const isLast = total !== null && (await ask(place + 1, 1, 'once').catch(onTooMuch))?.ids.length === 0;
    const granted = isLast ? Math.round((total - length) / place) : length;
    if (granted !== size) throw new GrantedSizeFound(granted);
  }

  /** The end of the listing, where an empty page stays empty, and nothing lies behind it or is read singly; else null. */
  async function endOr(answer: Answer): Promise<Block | null> {
    const held = size * Math.floor(((await surroundings.held()) ?? 0) / size);
    for (const at of [offset + size, offset + 2 * size, Math.max(held, offset)]) {
      const { ids } = (await ask(at, size, 'once').catch(onTooMuch)) ?? { ids: null };
      if (ids?.length !== 0) return null;
    }
    const count = await surroundings.rowsAfter();
    if (count) return join([{ after: 0, count, why: count < size ? ENDS_EARLY : SENDS_NONE }]);
    return { ...answer, ...WHOLE, isOpen: count === null && !isCounted };
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

  /** Whether rows come elsewhere although the first page brings none. */
  async function hidesRows(): Promise<boolean> {
    for (const rows of [size, 1]) if ((await attempt(rows, rows, 'once')).answer?.ids.length) return true;
    return false;
  }

  const { answer, failure: said } = await attempt(offset, size, 'brief');
  const isEmpty = surroundings.doubtsNone && offset === 0 && said === null && answer?.ids.length === 0;
  const isDoubted = isEmpty && (await surroundings.held()) !== null;
  const failure = isDoubted && (await hidesRows()) ? SENDS_NONE : said;
  if (answer !== null && (failure === null || (await provesEnd?.()))) return { ...answer, ...WHOLE };
  const gap = await asOneGap({ answer, failure });
  if (gap !== null) return gap;
  if (!(await isPortalWell(answer !== null))) {
    const patient = answer ?? (await ask(offset, size, 'full'));
    return { ...patient, ...WHOLE, isOpen: provesEnd !== null && patient.ids.length === 0 };
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
/** Where pages are empty from a place on, and rows that follow are read singly. */
export const ENDS_EARLY = 'its lists end before the last row';
/** Of an answer that was not taken apart. */
export const WHOLE = { gaps: [], readableSize: null, isOpen: false };

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
