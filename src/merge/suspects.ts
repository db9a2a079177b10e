/** Suspects of which the portal tells nothing, and suspects of models that the portal does not have. */
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

/** Rows known from webhooks alone that the API is asked for at a time; nobody has confirmed that they exist. */
export const REPORTED_AT_A_TIME = 2_000;

/** Two suspicions that bury a row of which the portal tells nothing lie at least so far apart. */
const APART_S = 3_600;

interface Deps {
  readonly sql: Sql;
  readonly writer: WriterContext;
}

/** Buries those of the suspects that the portal refuses to read, and that were suspected long enough ago, too. */
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
 * The portal has just said that it has no such model. What webhooks have told of it is asked for singly; where that is
 * answered in the same way, now and an hour ago, and no reading has ever brought a row, it is made up or left over.
 * A model that was listed once may come back, and which of its rows were confirmed is not known: nothing is done to it.
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
