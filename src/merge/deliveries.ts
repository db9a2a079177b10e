/** From announcements of webhooks to observations for the writer, and back to what the ledger records of them. */
import type { Micros } from '../core/time.ts';
import { type Announcement, AUTOMATION } from '../delivery/delivery.ts';
import { bareBody } from '../delivery/protect.ts';
import type { MirrorTable } from '../mirror-rows/rows.ts';
import { durableClock } from '../postgres/clock.ts';
import { allAnswers, type LastFlight, type Transaction } from '../postgres/connection.ts';
import { credible, type Version, versionOf } from '../record/version.ts';
import type { DeliveryOutcome } from '../store/deliveries/ledger.ts';
import { withholdDeliveries } from '../store/deliveries/replay.ts';
import { countDoubtsUpTo, HINT } from '../store/doubts.ts';
import type { BlockedModels } from './blocked.ts';
import type { Link, Observation, Verdict } from './rule/observation.ts';
import { linkOf } from './rule/tie.ts';
import { type Observed, type Subject, shapeOf, type WriterContext, writeObservations } from './writer.ts';

export interface DeliveryContext extends WriterContext {
  /** Where a model's rows rest; null for a model that the settings leave out. */
  readonly tableOf: (module: string, model: string) => MirrorTable | null;
  /** `body`: what a webhook says is believed. `verify`: it only makes the row doubtful, and the API is asked. */
  readonly trust?: 'body' | 'verify';
  /** Whether the API can be asked. Then what decides about other rows is never believed without it. */
  readonly asksApi?: boolean;
  /** Models to leave alone for the moment; shared by all who apply deliveries in this process. */
  readonly blocked: BlockedModels;
}

/** Doubts that may be open before further hints are passed over; catching up finds what they were about. */
const MAX_OPEN_HINTS = 10_000;

/** A delivery that has been understood, or has not. */
export interface Arrival {
  readonly announcement: Announcement;
  /** Left out for one that arrives now. */
  readonly receivedAt?: Micros;
  /** Its id, when the ledger has it already. */
  readonly id: string | null;
  /** True for one that was only a hint when it came: it stays one, whatever the settings say today. */
  readonly isHint?: boolean;
}

/** What became of an arrival, as the ledger records it. */
export type Outcome = Omit<DeliveryOutcome, 'id'>;

/**
 * Applies deliveries in order of arrival, within the caller's transaction.
 * @param alongside as in `writeObservations`, from what becomes of each delivery and from the moment of those that arrive now
 */
export async function applyArrivals<T>(
  tx: Transaction,
  arrivals: readonly Arrival[],
  context: DeliveryContext,
  alongside: (outcomes: readonly Outcome[], now: Micros) => T | Promise<T>,
): Promise<LastFlight<T>> {
  let understood: readonly Understood[] = [];
  let now: Micros = 0;
  const observed = allAnswers([durableClock(tx), areHintsFull(tx, arrivals, context)]).then(([clock, isFull]) => {
    now = clock;
    understood = arrivals.map((arrival) =>
      isFull && isHint(arrival, context) ? passOver(arrival) : understand(arrival, now, context),
    );
    return understood.flatMap((one) => ('observed' in one ? [one.observed] : []));
  });
  const subjects = arrivals.flatMap(({ announcement }): Subject[] => {
    const subject = subjectOf(announcement, context);
    return 'table' in subject ? [subject] : [];
  });
  const applying = arrivals.flatMap(({ id }) => (id === null ? [] : [id]));
  return writeObservations(tx, { subjects, observed, applying }, context, (verdicts) => {
    const next = verdicts.values();
    const outcomes = understood.map((one, index) => {
      const outcome = 'observed' in one ? recorded(one, next.next().value) : one.outcome;
      return isHint(arrivals[index] as Arrival, context) ? asHint(outcome) : outcome;
    });
    return alongside(outcomes, now);
  });
}

/** Names, aliases and privacy of custom fields follow from these rows, in every record of their model. */
const DEFINITIONS: ReadonlySet<string> = new Set(['customfields.fields', 'customfields.fieldsets']);

/** True where an announcement is not believed, and only makes the API be asked. */
export function isUnbelieved(
  { module, model }: Pick<Announcement, 'module' | 'model'>,
  { trust, asksApi = false }: Pick<DeliveryContext, 'trust' | 'asksApi'>,
): boolean {
  return trust === 'verify' || (asksApi && DEFINITIONS.has(`${module}.${model}`));
}

function isHint(arrival: Arrival, context: DeliveryContext): boolean {
  return arrival.isHint === true || isUnbelieved(arrival.announcement, context);
}

async function areHintsFull(tx: Transaction, arrivals: readonly Arrival[], context: DeliveryContext): Promise<boolean> {
  if (!arrivals.some(({ announcement }) => isUnbelieved(announcement, context))) return false;
  return (await countDoubtsUpTo(tx, MAX_OPEN_HINTS)) >= MAX_OPEN_HINTS;
}

type Understood =
  | { readonly observed: Observed; readonly version: Version; readonly link: Link | null }
  | { readonly outcome: Outcome };

/** Whom an announcement is about, or why it has no effect. */
function subjectOf(announcement: Announcement, context: DeliveryContext): Subject | Outcome {
  const { module, model, entityId, current, previous } = announcement;
  const table = context.tableOf(module, model);
  if (table === null) return unapplied('skipped', entityId, 'the settings leave this model out');
  // As in Flowlu's own example of a create: there is nothing in it that anybody could mend.
  if ((current ?? previous) === null) return unapplied('skipped', null, 'current and previous are empty');
  if (entityId === null) return unapplied('failed', null, 'neither current nor previous names a record id');
  return { table, entityId };
}

function understand(arrival: Arrival, now: Micros, context: DeliveryContext): Understood {
  const { announcement, receivedAt = now } = arrival;
  const subject = subjectOf(announcement, context);
  if (!('table' in subject)) return { outcome: subject };
  const observation: Observation = isHint(arrival, context)
    ? { says: 'unclear', reason: HINT, observedAt: receivedAt }
    : observe(announcement, receivedAt, subject.table, context);
  return {
    observed: { ...subject, observation },
    version: 'version' in observation ? observation.version : null,
    link: observation.says === 'announced' ? observation.link : null,
  };
}

function passOver({ announcement }: Arrival): Understood {
  return { outcome: unapplied('skipped', announcement.entityId, 'too many of them wait already') };
}

function observe(
  announcement: Announcement,
  observedAt: Micros,
  table: MirrorTable,
  context: DeliveryContext,
): Observation {
  const { action, current, previous } = announcement;
  if (action === AUTOMATION) return { says: 'unclear', reason: HINT, observedAt };
  const version = (record: Announcement['current']) =>
    record === null ? null : credible(versionOf(table.model, record, context.zone), observedAt);
  if (action === 'delete') {
    const last = previous ?? current;
    return { says: 'deleted', previous: last, version: version(last), observedAt };
  }
  if (current === null) return { says: 'unclear', reason: `"${action}" without the record's new state`, observedAt };
  if (action !== 'create' && action !== 'update') {
    return { says: 'unclear', reason: 'an action that the mirror does not know', observedAt };
  }
  const link = linkOf(shapeOf(table, context), current, previous, action === 'create');
  return { says: 'announced', record: current, previous, version: version(current), observedAt, link };
}

function recorded(one: { observed: Observed; version: Version; link: Link | null }, verdict?: Verdict): Outcome {
  // Hashes of what was erased would let a guess at its values be checked.
  if (verdict?.decision === 'erased')
    return { ...unapplied('applied', one.observed.entityId, null), decision: 'erased' };
  return {
    status: 'applied',
    entityId: one.observed.entityId,
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

/** Takes the bodies of stored deliveries back that turned out to be about an entity that was erased. */
export async function withholdErased(
  tx: Transaction,
  arrivals: readonly { readonly id: string; readonly announcement: Announcement }[],
  outcomes: readonly { readonly decision: string | null }[],
): Promise<void> {
  const erased = arrivals.filter((_, index) => outcomes[index]?.decision === 'erased');
  await withholdDeliveries(
    tx,
    erased.map(({ id, announcement }) => ({ id, body: bareBody(announcement) })),
  );
}
