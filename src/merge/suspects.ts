/** Suspects that the portal does not let us read, and suspects of models that the portal lacks. */
import type { Model } from '../catalog/types.ts';
import type { Micros } from '../core/time.ts';
import { mirrorTableOf } from '../mirror-rows/rows.ts';
import type { Sql } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import {
  clearSuspects,
  doubtSuspects,
  keepSomeSuspects,
  LACKING,
  rowToTry,
  type Suspicion,
  suspectUnlisted,
  takeUnconfirmable,
} from '../store/doubts.ts';
import { findWatermark } from '../store/watermarks.ts';
import { type WriterContext, writeObservations } from './writer.ts';

/** Rows known only from webhooks that are requested at a time. Nobody has confirmed that they exist. */
export const REPORTED_AT_A_TIME = 2_000;

/** Minimum time between the two suspicions that bury a row about which the portal says nothing. */
const APART_S = 3_600;

interface Deps {
  readonly sql: Sql;
  readonly writer: WriterContext;
}

/** Buries those suspects that the portal refuses to read and that were also suspected long enough ago. */
export async function bury({ sql, writer }: Deps, model: Model, fence: Micros, reason: Suspicion): Promise<void> {
  const table = mirrorTableOf(model);
  await transact(sql, async (tx) => {
    const gone = await takeUnconfirmable(tx, model, fence, APART_S, reason);
    const observation = { says: 'absent', observedAt: fence } as const;
    const observed = gone.map((entityId) => ({ table, entityId, observation }));
    return writeObservations(tx, { subjects: observed, observed }, writer, () => null);
  });
}

/**
 * The portal has just said that it lacks the model. Rows reported by webhooks are requested singly. If the answer is
 * the same now and an hour ago, and no reading ever returned a row, they are invented or left over. A model that was
 * once listed may come back, and which of its rows were confirmed is unknown, so nothing is done to it.
 */
export async function suspectReported(deps: Deps, model: Model, fence: Micros): Promise<void> {
  const { sql } = deps;
  if ((await findWatermark(sql, model.name)) !== null) return;
  const range = { after: null, upTo: null, listed: [], observedAt: fence, reported: true };
  await clearSuspects(sql, model.name);
  await transact(sql, (tx) => suspectUnlisted(tx, model, range));
  if ((await rowToTry(sql, model)) === null) await bury(deps, model, fence, LACKING);
  await keepSomeSuspects(sql, model, { reported: REPORTED_AT_A_TIME, confirmed: 0 });
  await transact(sql, (tx) => doubtSuspects(tx, model, LACKING));
}
