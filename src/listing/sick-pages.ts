/**
 * Reads around what is broken: a page that fails is read in smaller ones, down to a single row.
 *
 * A page may be too heavy (5xx, time-out, too large), or contain a record that breaks every answer with it, by an error
 * or by no rows at all. Both look like a portal that is down for a moment, so a page is only taken apart if the portal
 * answered something else.
 */

import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import type { Patience } from '../flowlu/client.ts';
import { FlowluError } from '../flowlu/errors.ts';

/** One answer, with its ids. */
export interface Answer {
  readonly items: readonly JsonObject[];
  readonly ids: readonly string[];
  readonly total: number | null;
  readonly observedAt: Micros;
  /** False if the format of the answer hides the order in which the portal sent the rows. */
  readonly ordered: boolean;
}

/** Requests `size` rows from a position that is a multiple of it. */
export type Ask = (offset: number, size: number, patience: Patience) => Promise<Answer>;

/** Positions whose rows no answer contains. */
export interface Gap {
  /** How many rows of the block come before it. */
  readonly after: number;
  readonly count: number;
  readonly why: string;
}

export interface Block extends Answer {
  readonly gaps: readonly Gap[];
  /** The size of the parts in which the block had to be read, if that alone was enough. */
  readonly readableSize: number | null;
  /** No row came, and nothing shows that no row follows those before. */
  readonly isOpen: boolean;
}

/** A part of a block that was taken apart. */
type Part = (Answer & { readonly asked: number }) | Gap;

/** Other rows came than a page of the requested size would have: the portal grants fewer on every page. */
export class GrantedSizeFound extends Error {
  override readonly name = 'GrantedSizeFound';

  constructor(readonly size: number) {
    super(`the portal grants ${size} rows on a page`);
  }
}

interface Outcome {
  readonly answer: Answer | null;
  readonly failure: string | null;
}

/** What is known about the listing that a block belongs to. */
export interface Surroundings {
  /**
   * Rows known to follow from the start of the block: an answer without any is a failure too. Null for as many as the
   * answer itself counts; `Infinity` if there is no count yet.
   */
  readonly expected: number | null;
  /** Positions of rows, to be extended; null if the portal is known to grant pages of that size. */
  readonly positions: Map<string, number> | null;
  /** Whether nothing follows the rows before, asked if there is no count and no rows come; null for the first block. */
  readonly provesEnd: (() => Promise<boolean>) | null;
  /** How many rows of the model the caller holds; null if it holds none and expects none. */
  readonly held: () => Promise<number | null>;
  /** Whether to check a first page without rows. */
  readonly doubtsNone: boolean;
  /** A page of the block's size that had rows, counted from 0. */
  readonly goodPage: number | null;
  /** Whether the page before lacked rows. It was then the last one, or something is wrong with it. */
  readonly isAfterShort: boolean;
  /** How many rows after the last one can be read singly; null if unknown. */
  readonly rowsAfter: () => Promise<number | null>;
}

/**
 * Reads the block of `size` rows at `offset`.
 * @throws FlowluError if nothing around it is answered either; errors of `ask` that a smaller page cannot avoid;
 * GrantedSizeFound
 */
export async function readBlock(ask: Ask, offset: number, size: number, surroundings: Surroundings): Promise<Block> {
  const { expected, positions, provesEnd, goodPage } = surroundings;
  const tried = new Map<string, Outcome>();
  const met = new Set<string>();
  let ignoresSize = false;
  /** Rows of the longest answer: at least this many are granted. */
  let longest = 0;
  const isCounted = expected !== null && expected !== UNCOUNTED;
  /** Where rows are expected to end, unless the answer says otherwise. */
  const due = expected === null ? 0 : offset + expected;
  /** The count of the latest part, if larger than that part: some portals repeat their last page beyond the end. */
  let total: number | null = null;
  let isMiscounted = false;

  /** Whether a page has fewer rows than lie there, or rows from before it. */
  function isCut({ ids, total }: Answer, at: number, rows: number): boolean {
    if (positions === null) return false;
    const isOff = total !== null && total > at && ids.length !== Math.min(rows, total - at);
    const isElsewhere = ids.some((id) => (positions.get(id) ?? at) < at);
    for (const [index, id] of ids.entries()) positions.set(id, Math.min(positions.get(id) ?? at + index, at + index));
    const isFirst = at === 0 && rows === size;
    return !isFirst && ids.length > 0 && ids.length < rows && (isOff || isElsewhere);
  }

  /** Whether no row came from a position where rows are expected. */
  function lacksRows({ ids, total }: Answer, at: number): boolean {
    // Rows may have been deleted since they were counted. A count of zero does not prove that, nor does a count that
    // earlier rows have refuted.
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

  /** Whether anything else is answered: smaller pages at the same position, the rows next to it, the block after it. */
  async function isPortalWell(isEmpty: boolean): Promise<boolean> {
    const sizes: number[] = [];
    for (let rows = smaller(size); rows < (sizes.at(-1) ?? size); rows = smaller(rows)) sizes.push(rows);
    const neighbours: number[] = [];
    // The nearest ones without a gap, since a short run of broken rows may end just before the very last row.
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

  /** An answer of several rows to a request for one, from a page that may be intact; null if there is none. */
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
   * The block if the portal grants the same number of rows whatever is requested, so that there are no smaller pages: a
   * gap, or nothing beyond the end. Null for other portals.
   */
  async function asOneGap({ answer, failure }: Outcome): Promise<Block | null> {
    const other = await oversized();
    if (other === null) return null;
    const counted = isCounted ? expected : (other.total ?? 0) - offset;
    const left = isCounted || counted > 0 ? counted : UNCOUNTED;
    const end = answer !== null && (left > size || surroundings.isAfterShort) ? await endOr(answer) : null;
    return end ?? join(left > 0 ? [{ after: 0, count: Math.min(size, left), why: failure as string }] : []);
  }

  /** @throws GrantedSizeFound unless the portal grants pages of the block's size */
  async function grant(place: number, { ids: { length }, total }: Answer): Promise<void> {
    const isLast = total !== null && (await ask(place + 1, 1, 'once').catch(onTooMuch))?.ids.length === 0;
    const granted = isLast ? Math.round((total - length) / place) : length;
    if (granted !== size) throw new GrantedSizeFound(granted);
  }

  /** The end of the listing, if an empty page stays empty and no rows lie or can be read after it; otherwise null. */
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

  /** Whether nothing follows by the count, and no new row comes from here or from after the block. */
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

  /** Whether rows come elsewhere although the first page has none. */
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
  // Without a count, only later rows distinguish rows that break their lists from empty positions at the end.
  const end = 1 + parts.findLastIndex((part) => 'ids' in part || part.why !== SENDS_NONE);
  const isCertain = expected !== UNCOUNTED || total !== null || end === parts.length;
  const rowsFollow = isCertain || (await attempt(offset + size, size, 'once')).answer?.ids.length;
  return join(rowsFollow ? parts : parts.slice(0, end));
}

/** @throws an error that a smaller page cannot avoid */
export function onTooMuch(error: unknown): null {
  if (error instanceof FlowluError && error.mayBeTooMuch) return null;
  throw error;
}

export const rowsIn = (gaps: readonly { readonly count: number }[]): number =>
  gaps.reduce((sum, { count }) => sum + count, 0);

export const SENDS_NONE = 'the portal counts more rows but sends none';
/** Pages are empty from some position on, but later rows can be read singly. */
export const ENDS_EARLY = 'its lists end before the last row';
/** For an answer that was not taken apart. */
export const WHOLE = { gaps: [], readableSize: null, isOpen: false };

/** Rows to expect if none were counted yet. An empty answer without a count is then examined. */
export const UNCOUNTED = Number.POSITIVE_INFINITY;

/** This many positions after a failure are tried one by one; the others at distances that double. */
const NEAR = 4;

/** The next smaller size whose pages align with those of this one. */
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
