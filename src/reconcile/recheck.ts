/**
 * Checks candidates again: reads the single record from the portal and the row from the mirror. If they now agree, it
 * was a change in progress; otherwise the mirror has drifted, and is repaired through the writer on request.
 */

import type { JsonObject } from '../core/json.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { rederive } from '../maintain/rebuild.ts';
import type { Observation } from '../merge/rule/observation.ts';
import { read } from '../merge/settle.ts';
import { writeObservations } from '../merge/writer.ts';
import { countRows, readRow, rowPages } from '../mirror-rows/reads.ts';
import type { StoredRow } from '../mirror-rows/rows.ts';
import { transact } from '../postgres/transact.ts';
import { compareIds, idOf } from '../record/id.ts';
import { credible, versionOf } from '../record/version.ts';
import { wrongColumns } from './compare-page.ts';
import type { ListingDeps } from './deps.ts';
import { type Candidate, type CompareContext, compareRow, type Difference, type Finding, namesOf } from './findings.ts';
import { isBeyondGuard } from './sweep.ts';
import { READS_AT_A_TIME } from './verify-listing.ts';

export interface RecheckOptions {
  /** Maximum number of candidates checked again; the others count as unchecked. */
  readonly max: number;
  readonly repair: boolean;
  readonly onRequest: () => void;
  readonly signal: AbortSignal;
}

export interface Rechecked {
  readonly findings: readonly Finding[];
  readonly inFlight: number;
  /** Rows that the portal has although its list lacked them. */
  readonly unlisted: number;
  readonly unchecked: number;
  /** Why candidates could not be checked again, or null. */
  readonly reason: string | null;
  readonly repaired: number;
  /** Why a large number of rows was not tombstoned, or null. */
  readonly guarded: string | null;
}

interface Confirmed {
  readonly is: 'confirmed';
  readonly finding: Finding;
  readonly observation: Observation;
}

/** Rows compared with their own records in one statement. */
const ROWS_AT_A_TIME = 200;

/** Waiting does not help with these. */
const REFUSALS: ReadonlySet<string> = new Set(['forbidden', 'unknown_method', 'unknown_module']);

/**
 * Checks candidates again.
 * @param unseen the number of candidates beyond the limit
 * @throws if the database is lost or the key refused; the signal's reason
 */
export async function recheck(
  deps: ListingDeps,
  context: CompareContext,
  candidates: readonly Candidate[],
  unseen: number,
  options: RecheckOptions,
): Promise<Rechecked> {
  const ordered = candidates.toSorted((a, b) => compareIds(a.id, b.id));
  const chosen = ordered.filter((candidate) => !isOfColumnsAlone(candidate)).slice(0, options.max);
  const ofColumns = ordered.filter(isOfColumnsAlone);
  const wrong = await recheckColumns(deps, context, ofColumns);
  const findings: Finding[] = [...wrong];
  const extra: Confirmed[] = [];
  let inFlight = ofColumns.length - wrong.length;
  let unlisted = 0;
  let repaired = options.repair ? await mendColumns(deps, context, wrong) : 0;
  let reason: string | null = null;
  for (let start = 0; start < chosen.length && reason === null; start += READS_AT_A_TIME) {
    options.signal.throwIfAborted();
    const part = chosen.slice(start, start + READS_AT_A_TIME);
    const looks = await Promise.all(part.map((candidate) => look(deps, context, candidate, options)));
    const confirmed = looks.filter((found) => found.is === 'confirmed');
    inFlight += looks.filter((found) => found.is === 'agreeing').length;
    unlisted += looks.filter((found) => found.is === 'unlisted').length;
    reason = looks.find((found) => found.is === 'refused')?.why ?? null;
    findings.push(...confirmed.map(({ finding }) => finding));
    extra.push(...confirmed.filter(({ finding }) => finding.kind === 'extra'));
    const mendable = confirmed.filter(({ finding }) => finding.kind !== 'extra');
    if (options.repair) repaired += await mendAll(deps, context, mendable);
  }
  const unchecked = candidates.length + unseen - findings.length - inFlight - unlisted;
  // Candidates beyond the limit may also be extra.
  const vanished = extra.length === 0 ? 0 : extra.length + unseen;
  const guarded = options.repair ? await guard(deps, context, vanished) : null;
  // Only when all are known is it clear whether they exceed the guard.
  if (options.repair && guarded === null) repaired += await mendAll(deps, context, extra);
  return { findings, inFlight, unlisted, unchecked, reason, repaired, guarded };
}

/** Rows whose columns disagree with their own records. The portal agrees with these, so only the database is needed. */
async function recheckColumns(
  deps: ListingDeps,
  { table }: CompareContext,
  candidates: readonly Candidate[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (let start = 0; start < candidates.length; start += ROWS_AT_A_TIME) {
    const ids = candidates.slice(start, start + ROWS_AT_A_TIME).map(({ id }) => id);
    for await (const { rows } of rowPages(deps.sql, table, ROWS_AT_A_TIME, undefined, ids)) {
      for (const [id, difference] of await wrongColumns(deps, table, rows)) findings.push({ id, ...difference });
    }
  }
  return findings.sort((a, b) => compareIds(a.id, b.id));
}

async function mendColumns({ sql, writer }: ListingDeps, { table }: CompareContext, wrong: readonly Finding[]) {
  for (let start = 0; start < wrong.length; start += ROWS_AT_A_TIME) {
    const ids = wrong.slice(start, start + ROWS_AT_A_TIME).map(({ id }) => id);
    await rederive(sql, table, ids, writer);
  }
  return wrong.length;
}

/** Repairs one after the other; returns how many now agree with the portal. */
async function mendAll(deps: ListingDeps, context: CompareContext, confirmed: readonly Confirmed[]): Promise<number> {
  let mended = 0;
  for (const one of confirmed) if (await mend(deps, context, one)) mended += 1;
  return mended;
}

/** The result of checking again. */
type Look =
  | Confirmed
  | { readonly is: 'agreeing' }
  /** It exists and agrees; the list without it was incomplete. */
  | { readonly is: 'unlisted' }
  /** The portal refuses this record and all others of the model. */
  | { readonly is: 'refused'; readonly why: string }
  /** This check failed; others may not. */
  | { readonly is: 'failed' };

async function look(
  deps: ListingDeps,
  context: CompareContext,
  candidate: Candidate,
  { onRequest, signal }: RecheckOptions,
): Promise<Look> {
  try {
    onRequest();
    const observation = await readAgain(deps, context, candidate.id, signal);
    if (observation === null) return { is: 'failed' };
    const difference = await judge(deps, context, candidate, observation);
    const isUnlisted = candidate.suspected && observation.says === 'present';
    if (difference === null) return { is: isUnlisted ? 'unlisted' : 'agreeing' };
    return { is: 'confirmed', finding: { id: candidate.id, ...difference }, observation };
  } catch (error) {
    if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
    return REFUSALS.has(error.kind) ? { is: 'refused', why: error.message } : { is: 'failed' };
  }
}

/**
 * What the portal says about one record. A model without single reads is listed with a filter on its id. An empty list
 * proves nothing, so the result is then null.
 */
async function readAgain(
  deps: ListingDeps,
  { table, zone }: CompareContext,
  id: string,
  signal: AbortSignal,
): Promise<Observation | null> {
  try {
    return await read(deps, table, id, signal);
  } catch (error) {
    // Some portals answer an unknown method with "access denied".
    const isUnknown = error instanceof FlowluError && (error.kind === 'unknown_method' || error.code === 30);
    if (!isUnknown || table.model === null) throw error;
  }
  const filters = { id: { type: 'exact_value', value: id } } as const;
  const { items, observedAt } = await deps.client.list(table.model, { limit: 1, page: 1, filters }, signal);
  const record = items.find((item) => idOf(item) === id);
  if (record === undefined) return null;
  const version = credible(versionOf(table.model, record, zone), observedAt);
  return { says: 'present', record, version, observedAt, whole: false, settling: true };
}

/** How the row, read after the answer, still disagrees with it; null if it does not, or has changed meanwhile. */
async function judge(
  deps: ListingDeps,
  context: CompareContext,
  { id, compared, suspected }: Candidate,
  observation: Observation,
): Promise<Difference | null> {
  const row = await readRow(deps.sql, context.table, id);
  const isLive = row !== null && row.deletedAt === null;
  const wrong = isLive ? ((await wrongColumns(deps, context.table, [row])).get(id) ?? null) : null;
  if (row !== null && row.observedAt >= observation.observedAt) return wrong;
  if (observation.says !== 'present') return isLive ? { kind: 'extra', fields: [], columns: [] } : null;
  const { record, observedAt } = observation;
  // For a row that was not listed, the fields of a list are unknown, so those known to both sides are compared.
  const names = suspected ? sharedNames(context, row, record) : compared;
  return compareRow(row, { record, observedAt, compared: names }, context) ?? wrong;
}

function sharedNames({ shape }: CompareContext, row: StoredRow | null, record: JsonObject): readonly string[] {
  const held = new Set(row === null ? [] : namesOf(shape, row.record));
  return namesOf(shape, record).filter((name) => held.has(name));
}

/** Writes the observation; false if the row still differs from the portal afterwards. */
async function mend({ sql, writer }: ListingDeps, { table }: CompareContext, { finding, observation }: Confirmed) {
  // First make the row agree with its own record, otherwise the writer compares with a wrong hash.
  await rederive(sql, table, [finding.id], writer);
  const observed = [{ table, entityId: finding.id, observation }];
  return transact(sql, (tx) =>
    writeObservations(tx, { subjects: observed, observed }, writer, ([verdict]) => {
      if (verdict === undefined || verdict.doubt !== null) return false;
      return verdict.decision !== 'ignored' || isOfColumnsAlone(finding);
    }),
  );
}

function isOfColumnsAlone({ kind, fields, columns }: Difference): boolean {
  return kind === 'differing' && fields.length === 0 && columns.length > 0;
}

/** Why so many rows may not be tombstoned, or null if they may. */
async function guard({ sql }: ListingDeps, { table }: CompareContext, extra: number): Promise<string | null> {
  if (extra === 0) return null;
  const live = await countRows(sql, table, 'live');
  if (!isBeyondGuard(extra, live)) return null;
  return (
    `the portal says of ${extra} of ${live} rows that they do not exist, more than is believed without a person; ` +
    `if they are really gone, run: flowlu-mirror reconcile ${table.name} --full --allow-deletes ${extra}`
  );
}
