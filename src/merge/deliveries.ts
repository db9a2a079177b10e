/** Turns announcements of webhooks into observations for the writer, and verdicts into what the ledger records. */
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
  /** Where a model's rows are stored; null for a model that the settings exclude. */
  readonly tableOf: (module: string, model: string) => MirrorTable | null;
  /** `body`: webhooks are trusted. `verify`: they only make the row doubtful, and the API is asked. */
  readonly trust?: 'body' | 'verify';
  /** Whether the API can be asked. If so, rows that others depend on are never trusted without it. */
  readonly asksApi?: boolean;
  /** Models to leave alone for now, shared by all code that applies deliveries in this process. */
  readonly blocked: BlockedModels;
}

/** Open doubts above which further hints are dropped; catching up finds what they were about. */
const MAX_OPEN_HINTS = 10_000;

/** A delivery that was parsed. */
export interface Arrival {
  readonly announcement: Announcement;
  /** Absent if it arrives now. */
  readonly receivedAt?: Micros;
  /** Its id if the ledger already has it. */
  readonly id: string | null;
  /** True if it was only a hint on arrival. It stays one, whatever the settings say now. */
  readonly isHint?: boolean;
}

/** The result of an arrival, as recorded by the ledger. */
export type Outcome = Omit<DeliveryOutcome, 'id'>;

/**
 * Applies deliveries in order of arrival, within the caller's transaction.
 * @param alongside as in `writeObservations`; gets the outcome of each delivery, and the arrival time of new ones
 */
export async function applyArrivals<T>(
  tx: Transaction,
  arrivals: readonly Arrival[],
  context: DeliveryContext,
  alongside: (outcomes: readonly Outcome[], now: Micros) => T | Promise<T>,
): Promise<LastFlight<T>> {
  let understood: readonly Understood[] = [];
  let now: Micros = 0;
  const about = arrivals.map(({ announcement }) => subjectOf(announcement, context));
  const observed = allAnswers([durableClock(tx), areHintsFull(tx, arrivals, context)]).then(([clock, isFull]) => {
    now = clock;
    understood = arrivals.map((arrival, index) => {
      if (isFull && isHint(arrival, context)) {
        return { outcome: unapplied('skipped', arrival.announcement.entityId, 'too many of them wait already') };
      }
      return understand(arrival, about[index] as Subject | Outcome, now, context);
    });
    return understood.flatMap((one) => ('observed' in one ? [one.observed] : []));
  });
  const subjects = about.filter((subject) => 'table' in subject);
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

/** Names, aliases and privacy of custom fields depend on these rows, in every record of their model. */
const DEFINITIONS: ReadonlySet<string> = new Set(['customfields.fields', 'customfields.fieldsets']);

/** Whether an announcement is not trusted and only causes a request to the API. */
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

/** What an announcement is about, or why it has no effect. */
function subjectOf(announcement: Announcement, context: DeliveryContext): Subject | Outcome {
  const { module, model, entityId, current, previous } = announcement;
  const table = context.tableOf(module, model);
  if (table === null) return unapplied('skipped', entityId, 'the settings leave this model out');
  if (announcement.lacksStates) return unapplied('failed', null, 'the body has neither `current` nor `previous`');
  // As in Flowlu's own example of a create. Nobody could correct it, so it is not a failure.
  if ((current ?? previous) === null) return unapplied('skipped', null, 'current and previous are empty');
  if (entityId === null) return unapplied('failed', null, 'neither current nor previous names a record id');
  return { table, entityId };
}

function understand(arrival: Arrival, subject: Subject | Outcome, now: Micros, context: DeliveryContext): Understood {
  const { announcement, receivedAt = now } = arrival;
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
  // Hashes of erased data would allow guesses at its values to be checked.
  if (verdict?.decision === 'erased')
    return { ...unapplied('applied', one.observed.entityId, null), decision: 'erased' };
  return {
    ...unapplied('applied', one.observed.entityId, verdict?.doubt ?? null),
    version: one.version?.at ?? null,
    fromHash: one.link?.from ?? null,
    toHash: one.link?.to ?? null,
    decision: verdict?.decision ?? null,
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

/** Marks the outcome of an untrusted delivery, so that a later replay does not trust it. */
export function asHint<T extends Pick<Outcome, 'reason'>>(outcome: T): T {
  const { reason } = outcome;
  if (wasHint(reason)) return outcome;
  return { ...outcome, reason: reason === null ? HINT : `${HINT}: ${reason}` };
}

/** Whether the ledger's reason says that the delivery was not trusted on arrival. */
export const wasHint = (reason: string | null): boolean => reason?.startsWith(HINT) === true;

/** Removes the bodies of stored deliveries that turned out to be about an erased entity. */
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
