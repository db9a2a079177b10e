/**
 * Settling: doubtful rows are read one by one from the API, which has the last word.
 *
 * A doubt is claimed by moving its next attempt into the future before the request is sent, so that replicas share the
 * work without asking twice. What cannot be settled, for lack of rights or of a `get`, stays visible with its reason.
 */
import { splitName } from '../catalog/name.ts';
import { MICROS_PER_SECOND } from '../core/time.ts';
import type { FlowluClient } from '../flowlu/client.ts';
import { FlowluError, NotFoundError } from '../flowlu/errors.ts';
import type { MirrorTable } from '../mirror-rows/rows.ts';
import type { Sql } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { credible, versionOf } from '../record/version.ts';
import { type ClaimedDoubt, claimDoubts, dropDoubt, HINT, LACKING, postponeDoubt, UNPROVEN } from '../store/doubts.ts';
import { forget, measure } from '../store/measurements.ts';
import type { Observation } from './rule/observation.ts';
import { SPELLING } from './rule/spelling.ts';
import { type WriterContext, writeObservations } from './writer.ts';

export interface SettleDeps {
  readonly sql: Sql;
  readonly client: FlowluClient;
  readonly writer: WriterContext;
  readonly tableOf: (name: string) => MirrorTable | null;
}

const BATCH_SIZE = 20;
/** Lifetime of a claim, in case its replica died. If it was only slow, the row is read twice, which is harmless. */
const CLAIM_SECONDS = 120;
const MAX_BACKOFF_SECONDS = 3_600;
/** A missing right does not come back within seconds. */
const REFUSED_SECONDS = 3_600;

/**
 * Settles doubts that are due, oldest first, up to `limit`.
 * @throws if the database is lost or the key refused; the signal's reason
 */
export async function settleDue(deps: SettleDeps, limit: number, signal: AbortSignal) {
  let settled = 0;
  let open = 0;
  while (settled + open < limit) {
    signal.throwIfAborted();
    const most = Math.min(BATCH_SIZE, limit - settled - open);
    const claimed = await claimDoubts(deps.sql, most, CLAIM_SECONDS, MAX_BACKOFF_SECONDS);
    if (claimed.length === 0) break;
    const results = await Promise.all(claimed.map((doubt) => settleOne(deps, doubt, signal)));
    settled += results.filter(Boolean).length;
    open += results.filter((isSettled) => !isSettled).length;
  }
  return { settled, open };
}

async function settleOne(deps: SettleDeps, doubt: ClaimedDoubt, signal: AbortSignal): Promise<boolean> {
  const { sql } = deps;
  const table = deps.tableOf(doubt.model);
  if (table === null) {
    await postponeDoubt(sql, doubt, REFUSED_SECONDS, 'the settings leave this model out');
    return false;
  }
  try {
    const observation = await read(deps, table, doubt.entityId, signal);
    const observed = [{ table, entityId: doubt.entityId, observation }];
    const verdict = await transact(sql, (tx) =>
      writeObservations(tx, { subjects: observed, observed }, deps.writer, ([only]) => only),
    );
    await forget(sql, doubt.model, 'get');
    const conclusive = verdict?.doubt === null && verdict.decision !== 'ignored';
    // Something newer arrived meanwhile, or the API lags behind a webhook: ask again after the grace period.
    const grace_s = Math.max(1, deps.writer.settleGrace / MICROS_PER_SECOND);
    if (!conclusive) await postponeDoubt(sql, doubt, grace_s, 'the API still lags behind');
    return conclusive;
  } catch (error) {
    if (!(error instanceof FlowluError) || error.kind === 'unauthorized') {
      await postponeDoubt(sql, doubt, 1, null).catch(() => {});
      throw error;
    }
    await putOff(sql, table, doubt, error);
    return false;
  }
}

/** The API gave no answer: asks again later, or never if the row is no more doubtful than before. */
async function putOff(sql: Sql, { model }: MirrorTable, doubt: ClaimedDoubt, error: FlowluError): Promise<void> {
  // The announcement was not trusted and harms no row.
  if (!error.retryable && [HINT, SPELLING, UNPROVEN].includes(doubt.reason)) return dropDoubt(sql, doubt);
  // A missing path may be temporary, unless the portal has just said that it lacks the model.
  const lacksPath = error.status === 404 && doubt.reason === LACKING;
  // Flowlu also says "access denied" about a missing method; for a model without single reads that hides no row.
  const kind = model?.gettable === false && error.kind === 'forbidden' ? 'not_gettable' : error.kind;
  const refusal = lacksPath ? 'unknown_path' : error.retryable ? null : kind;
  const seconds = refusal === null ? Math.min(MAX_BACKOFF_SECONDS, 2 ** Math.min(doubt.attempts, 12)) : REFUSED_SECONDS;
  if (refusal !== null) await measure(sql, doubt.model, { get: error.message });
  await postponeDoubt(sql, doubt, seconds, error.message, refusal);
}

export async function read(
  deps: Pick<SettleDeps, 'client' | 'writer'>,
  table: MirrorTable,
  id: string,
  signal: AbortSignal,
): Promise<Observation> {
  const { module, model } = splitName(table.name);
  try {
    const { record, observedAt } = await deps.client.get({ module, model, name: table.name }, id, signal);
    const version = credible(versionOf(table.model, record, deps.writer.zone), observedAt);
    return { says: 'present', record, version, observedAt, whole: true, settling: true };
  } catch (error) {
    if (error instanceof NotFoundError) return { says: 'absent', observedAt: error.observedAt };
    throw error;
  }
}
