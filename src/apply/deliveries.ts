/** From announcements of webhooks to sightings for the door, and back to what the ledger records of them. */
import type { Micros } from '../catalog/instant.ts';
import { credible, type Version, versionOf } from '../catalog/version.ts';
import type { Transaction } from '../db/connection.ts';
import { countDoubtsUpTo, HINT } from '../db/doubtful.ts';
import type { Shelf } from '../db/mirror-rows.ts';
import type { Announcement } from '../intake/delivery.ts';
import type { DeliveryOutcome } from '../intake/ledger.ts';
import type { BlockedModels } from './blocked.ts';
import {
  type DoorContext,
  type Judged,
  judge,
  type Locked,
  lockSubjects,
  type Sighting,
  type Subject,
  shapeOf,
  write,
} from './door.ts';
import type { Link, Observation, Verdict } from './observation.ts';
import { linkOf } from './tie.ts';

/** What applying deliveries needs to know. */
export interface DeliveryContext extends DoorContext {
  /** Where a model's rows rest; null for a model that the settings leave out. */
  readonly shelfOf: (module: string, model: string) => Shelf | null;
  /** `body`: what a webhook says is believed. `verify`: it only makes the row doubtful, and the API is asked. */
  readonly trust?: 'body' | 'verify';
  /** Models to leave alone for the moment; shared by all who apply deliveries in this process. */
  readonly blocked: BlockedModels;
}

/** Doubts that may be open before further hints are passed over; catching up finds what they were about. */
const MAX_OPEN_HINTS = 10_000;

/** A delivery that has been understood, or has not. */
export interface Arrival {
  readonly announcement: Announcement;
  readonly receivedAt: Micros;
  /** Its id, when the ledger has it already. */
  readonly id: string | null;
  /** True for one that was only a hint when it came: it stays one, whatever the settings say today. */
  readonly isHint?: boolean;
}

/** What became of an arrival, as the ledger records it. */
export type Outcome = Omit<DeliveryOutcome, 'id'>;

/** Applies deliveries in order of arrival, within the caller's transaction. */
export async function applyArrivals(
  tx: Transaction,
  arrivals: readonly Arrival[],
  context: DeliveryContext,
): Promise<readonly Outcome[]> {
  const locked = await lockAnnounced(
    tx,
    arrivals.map(({ announcement }) => announcement),
    context,
  );
  const { outcomes, judged } = await judgeArrivals(tx, locked, arrivals, context);
  await write(tx, judged, context);
  return outcomes;
}

/** The first step of it: locks the rows of which something is announced. */
export function lockAnnounced(
  tx: Transaction,
  announcements: readonly Announcement[],
  context: DeliveryContext,
): Promise<Locked> {
  const subjects = announcements.flatMap((announcement): Subject[] => {
    const subject = subjectOf(announcement, context);
    return 'shelf' in subject ? [subject] : [];
  });
  return lockSubjects(tx, subjects, context);
}

/** The second step: what becomes of deliveries, and what then has to be written. */
export async function judgeArrivals(
  tx: Transaction,
  locked: Locked,
  arrivals: readonly Arrival[],
  context: DeliveryContext,
): Promise<{ readonly outcomes: readonly Outcome[]; readonly judged: Judged }> {
  const isFull = context.trust === 'verify' && (await countDoubtsUpTo(tx, MAX_OPEN_HINTS)) >= MAX_OPEN_HINTS;
  const understood = arrivals.map((arrival) => (isFull ? passOver(arrival) : understand(arrival, context)));
  const sightings = understood.flatMap((one) => ('sighting' in one ? [one.sighting] : []));
  const ids = arrivals.flatMap(({ id }) => (id === null ? [] : [id]));
  const judged = await judge(tx, locked, sightings, ids);
  const verdicts = judged.verdicts.values();
  const outcomes = understood.map((one, index) => {
    const outcome = 'sighting' in one ? recorded(one, verdicts.next().value) : one.outcome;
    return isHint(arrivals[index], context) ? asHint(outcome) : outcome;
  });
  return { outcomes, judged };
}

function isHint(arrival: Arrival | undefined, context: DeliveryContext): boolean {
  return context.trust === 'verify' || arrival?.isHint === true;
}

type Understood =
  | { readonly sighting: Sighting; readonly version: Version; readonly link: Link | null }
  | { readonly outcome: Outcome };

/** Whom an announcement is about, or why it has no effect. */
function subjectOf({ module, model, entityId }: Announcement, context: DeliveryContext): Subject | Outcome {
  const shelf = context.shelfOf(module, model);
  if (shelf === null) return unapplied('skipped', entityId, 'the settings leave this model out');
  if (entityId === null) return unapplied('failed', null, 'neither current nor previous names a record id');
  return { shelf, entityId };
}

function understand(arrival: Arrival, context: DeliveryContext): Understood {
  const { announcement, receivedAt } = arrival;
  const subject = subjectOf(announcement, context);
  if (!('shelf' in subject)) return { outcome: subject };
  const observation: Observation = isHint(arrival, context)
    ? { says: 'unclear', reason: HINT, observedAt: receivedAt }
    : observe(announcement, receivedAt, subject.shelf, context);
  return {
    sighting: { ...subject, observation },
    version: 'version' in observation ? observation.version : null,
    link: observation.says === 'announced' ? observation.link : null,
  };
}

function passOver({ announcement }: Arrival): Understood {
  return { outcome: unapplied('skipped', announcement.entityId, 'too many of them wait already') };
}

function observe(announcement: Announcement, observedAt: Micros, shelf: Shelf, context: DeliveryContext): Observation {
  const { action, current, previous } = announcement;
  const version = (record: Announcement['current']) =>
    record === null ? null : credible(versionOf(shelf.model, record, context.zone), observedAt);
  if (action === 'delete') {
    const last = previous ?? current;
    return { says: 'deleted', previous: last, version: version(last), observedAt };
  }
  if (current === null) return { says: 'unclear', reason: `"${action}" without the record's new state`, observedAt };
  if (action !== 'create' && action !== 'update') {
    return { says: 'unclear', reason: 'an action that the mirror does not know', observedAt };
  }
  const link = linkOf(shapeOf(shelf, context), current, previous, action === 'create');
  return { says: 'announced', record: current, previous, version: version(current), observedAt, link };
}

function recorded(one: { sighting: Sighting; version: Version; link: Link | null }, verdict?: Verdict): Outcome {
  // Hashes of what was erased would let a guess at its values be checked.
  if (verdict?.decision === 'erased')
    return { ...unapplied('applied', one.sighting.entityId, null), decision: 'erased' };
  return {
    status: 'applied',
    entityId: one.sighting.entityId,
    version: one.version?.at ?? null,
    fromHash: one.link?.from ?? null,
    toHash: one.link?.to ?? null,
    decision: verdict?.decision ?? null,
    reason: verdict?.doubt ?? null,
  };
}

/** The outcome of a delivery that has no effect on the mirror. */
export function unapplied(
  status: 'applied' | 'skipped' | 'failed' | 'pending',
  entityId: string | null,
  reason: string | null,
): Outcome {
  return { status, entityId, version: null, fromHash: null, toHash: null, decision: null, reason };
}

/** Marks what became of a delivery that is not believed, so that no later replay takes it for more. */
export function asHint<T extends Pick<Outcome, 'reason'>>(outcome: T): T {
  const { reason } = outcome;
  if (wasHint(reason)) return outcome;
  return { ...outcome, reason: reason === null ? HINT : `${HINT}: ${reason}` };
}

/** True for the ledger's reasons of deliveries that were not believed when they came. */
export const wasHint = (reason: string | null): boolean => reason?.startsWith(HINT) === true;
