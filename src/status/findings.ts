/**
 * Judges the health of the mirror: what was found, since when, and what to type. The page, `/app`, `/readyz`, the
 * metrics, `status` and `doctor` all show these findings and judge nothing themselves.
 */
import { ACCESS_WORDS } from '../core/access.ts';
import { groupBy } from '../core/group.ts';
import type { SchemaState } from '../migrate/migrations.ts';
import type { Cause } from '../postgres/causes.ts';
import type { LockHolder } from '../postgres/locks.ts';
import { REFUSED } from '../store/listings.ts';
import { judgeChangeAhead, judgeClock } from './clock.ts';
import { judgeMisfits, judgeRefused } from './counted.ts';
import type { Facts } from './facts.ts';
import type { Finding, Severity } from './finding.ts';
import { judgeInterceptors, judgeLocks, lockFinding } from './locks.ts';
import { judgeKey, judgeLogin, judgePortal } from './portal.ts';
import { ageOf, count, listed, span } from './words.ts';

/** What is known: the facts of the database, or why there are none. */
export type Situation =
  | { readonly kind: 'there'; readonly facts: Facts }
  | { readonly kind: 'unfit'; readonly schema: Exclude<SchemaState, 'current'> }
  /** The database answers, but what must be read is locked; null if this process records no deliveries. */
  | { readonly kind: 'locked'; readonly locks: readonly LockHolder[]; readonly isRecording: boolean | null }
  /** Deliveries are recorded although the facts cannot be read. */
  | { readonly kind: 'unread'; readonly cause: Cause }
  | { readonly kind: 'away'; readonly cause: string; readonly remedy: string; readonly since: string | null };

/** The worst severity found, or that the first reading is still in progress. */
export type State = 'bad' | 'care' | 'reading' | 'good';

export interface Assessment {
  readonly state: State;
  /** A few words. */
  readonly headline: string;
  /** One more sentence. */
  readonly sentence: string;
  /** Worst first. */
  readonly findings: readonly Finding[];
}

/** Failed deliveries above which they endanger the disk. */
const FAILED_MANY = 10_000;
const FAILED_MANY_BYTES = 2 ** 30;
/** A delivery may wait for a retry, but after this long something is wrong. */
const WAITING_MAX_S = 120;
/** The limit after a failed attempt: further ones have been made by then. */
const WAITING_IN_VAIN_MAX_S = 20;
const DOUBT_MAX_S = 6 * 3_600;
/** A comparison is late after this long, or after three intervals if that is more. */
const COMPARED_LATE_S = 20 * 60;
/** After this long, nobody should rely on the mirror. */
const COMPARED_OLD_S = 36 * 3_600;

const ORDER: Readonly<Record<Severity, number>> = { bad: 0, care: 1, note: 2 };

/** Everything found, worst first. Pure. */
export function assess(situation: Situation): Assessment {
  if (situation.kind !== 'there') {
    const findings = hindrances(situation);
    const [{ sentence: headline, remedy } = { sentence: '', remedy: null }] = findings;
    return { state: 'bad', headline, sentence: remedy ?? '', findings };
  }
  const { facts } = situation;
  const sorted = JUDGES.flatMap((judge) => judge(facts) ?? []).toSorted(
    (a, b) => ORDER[a.severity] - ORDER[b.severity],
  );
  const [worst] = sorted;
  if (worst !== undefined && worst.severity !== 'note') {
    return { state: worst.severity, headline: worst.sentence, sentence: worst.remedy ?? '', findings: sorted };
  }
  const reading = sorted.find(({ code }) => code === 'first_reading' || code === 'nothing_read');
  if (reading !== undefined) {
    const sentence = 'The mirror is being filled. Changes that Flowlu announces meanwhile are applied at once';
    return { state: 'reading', headline: reading.sentence, sentence: reading.remedy ?? sentence, findings: sorted };
  }
  return {
    state: 'good',
    headline: facts.hasApi ? 'Up to date' : 'Receiving',
    sentence: freshness(facts),
    findings: sorted,
  };
}

function hindrances(situation: Exclude<Situation, { kind: 'there' }>): readonly Finding[] {
  if (situation.kind === 'locked') return situation.locks.map((held) => lockFinding(held, situation.isRecording));
  if (situation.kind === 'unread') return [unreadFinding(situation.cause)];
  return [situation.kind === 'away' ? databaseAway(situation) : schemaFinding(situation.schema)];
}

export const needsPerson = ({ state }: Pick<Assessment, 'state'>) => state === 'bad' || state === 'care';

function freshness(facts: Facts): string {
  const { last_received_at } = facts.deliveries;
  const webhook =
    last_received_at === null ? 'no webhook so far' : `last webhook ${ageOf(last_received_at, facts.now)}`;
  if (!facts.hasApi) return `${capital(webhook)}; without an API key nobody can tell what was missed`;
  const compared = facts.compared.age_s === null ? 'not compared yet' : `last comparison ${ago(facts.compared.age_s)}`;
  return `${capital(webhook)}, ${compared}`;
}

const accessOf = (oauthClient: string | null) => ACCESS_WORDS[oauthClient === null ? 'key' : 'login'];
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
const ago = (seconds: number) => `${span(seconds)} ago`;

const unreadFinding = ({ cause, remedy }: Cause): Finding => ({
  code: 'not_readable',
  severity: 'bad',
  since: null,
  sentence: `Webhooks are recorded, but the state of the mirror cannot be read: ${cause}`,
  remedy: capital(remedy),
  command: 'flowlu-mirror doctor --quick',
});

function databaseAway({ cause, remedy, since }: Situation & { kind: 'away' }): Finding {
  return {
    code: 'database_away',
    severity: 'bad',
    since,
    sentence: capital(cause),
    remedy: `${capital(remedy)}. Senders are asked to repeat their webhooks meanwhile`,
    command: 'flowlu-mirror doctor',
  };
}

const MIGRATE = { command: 'flowlu-mirror migrate', remedy: 'Nothing is applied before that is done' } as const;

/** A schema that this program cannot use, and what helps. */
const SCHEMA: Readonly<Record<Exclude<SchemaState, 'current'>, Pick<Finding, 'sentence' | 'remedy' | 'command'>>> = {
  empty: { ...MIGRATE, sentence: 'The database has no schema' },
  behind: { ...MIGRATE, sentence: 'The database schema is of an earlier version' },
  newer: {
    sentence: 'The database schema is newer than this program',
    remedy:
      'Replace this program by the version that has migrated it; webhooks that still come here are applied meanwhile',
    command: 'flowlu-mirror --version',
  },
};

const schemaFinding = (state: Exclude<SchemaState, 'current'>): Finding => ({
  ...SCHEMA[state],
  code: 'schema',
  severity: 'bad',
  since: null,
});

/** One judge for each kind of trouble. Each gets all facts. */
const JUDGES: readonly ((facts: Facts) => Finding | readonly Finding[] | null)[] = [
  judgeReadiness,
  judgeLocks,
  judgeInterceptors,
  judgeZone,
  judgeClock,
  judgeChangeAhead,
  judgeKey,
  judgeLogin,
  judgePortal,
  judgeFailed,
  judgeWaiting,
  judgeReading,
  judgeHeld,
  judgeErrors,
  judgeComparison,
  judgeDoubts,
  judgeHidden,
  judgeFirstReading,
  judgeSilence,
  judgeRefused,
  judgeMisfits,
];

function judgeReadiness({ notAccepting }: Facts): Finding | null {
  return (
    notAccepting && {
      code: 'not_accepting',
      severity: 'bad',
      since: notAccepting.since,
      sentence: `Webhooks cannot be recorded: ${notAccepting.cause}`,
      remedy: capital(notAccepting.remedy),
      command: 'flowlu-mirror doctor',
    }
  );
}

function judgeZone({ otherZone }: Facts): Finding | null {
  return (
    otherZone && {
      code: 'other_zone',
      severity: 'care',
      since: null,
      sentence: `${otherZone.found}; it goes on with the latter`,
      remedy: `Either ${otherZone.advice}`,
      command: 'flowlu-mirror rebuild',
    }
  );
}

/** Without access nothing can be read or compared, which is reported once. */
const isShutOut = (facts: Facts) => facts.refusal !== null || judgeLogin(facts) !== null;

function judgeFailed({ deliveries: { failed, failed_since, failed_bytes } }: Facts): Finding | null {
  if (failed === 0) return null;
  const isMany = failed > FAILED_MANY || failed_bytes > FAILED_MANY_BYTES;
  const size = isMany ? `, ${count(Math.ceil(failed_bytes / 2 ** 20))} MiB of them` : '';
  return {
    code: 'deliveries_failed',
    severity: isMany ? 'bad' : 'care',
    since: failed_since,
    sentence: `${count(failed, 'delivery', 'deliveries')} could not be applied${size}`,
    remedy: `\`status\` lists them with their reasons; once those are mended, apply them again. Each is kept for FAILED_RETENTION${isMany ? '; so many are hardly from Flowlu: change the secret' : ''}`,
    command: 'flowlu-mirror replay --failed',
  };
}

function judgeWaiting({ deliveries: { pending, pending_since, pending_reason }, now }: Facts): Finding | null {
  const max_s = pending_reason === null ? WAITING_MAX_S : WAITING_IN_VAIN_MAX_S;
  if (pending_since === null || Date.parse(now) - Date.parse(pending_since) < max_s * 1_000) return null;
  return {
    code: 'deliveries_waiting',
    severity: 'care',
    since: pending_since,
    sentence: `${count(pending, 'delivery', 'deliveries')} stored but not applied${pending_reason === null ? '' : `: ${pending_reason}`}`,
    remedy:
      pending_reason === null
        ? 'Somebody holds a lock, or the service does not run; `doctor` says which'
        : 'Mend what keeps the rows from being written; they are tried again every few seconds, in order',
    command: 'flowlu-mirror doctor --quick',
  };
}

const BROKEN =
  'The rest of them is mirrored. Open the records in Flowlu and save them again, or ask its support; `doctor --record` collects what the portal answers';
const MISCOUNTED =
  'Flowlu counts rows that it does not list: deletes are asked for one by one, 20 with each sweep; nothing is to be done';
const AGAIN = 'It is tried again by itself; if it goes on, read the log';
const EMPTIED =
  'All that is mirrored of them is kept. Look in Flowlu whether they are still there, and whether the right to see them is';
const LISTS_NONE = /^the portal lists no row/;
/** Start of a listing's reason if only the count does not fit. */
const IS_MISCOUNT = /^the portal (?:counts|announced) \d[^;]*$/;

/** Models that cannot be read, one finding for each remedy. */
function judgeReading({ unread, oauthClient }: Facts): readonly Finding[] {
  const right = `${capital(accessOf(oauthClient).give)} the right to read them, or leave them out with FLOWLU_MODELS`;
  const remedyOf = ({ reason, outcome }: Facts['unread'][number]) => {
    if (reason?.startsWith(REFUSED)) return right;
    if (outcome === 'failed') return AGAIN;
    if (LISTS_NONE.test(reason ?? '')) return EMPTIED;
    return IS_MISCOUNT.test(reason ?? '') ? MISCOUNTED : BROKEN;
  };
  const groups = [...groupBy(unread, remedyOf)].toSorted(([, a], [, b]) => b.length - a.length);
  return groups.map(([remedy, group]) => ({
    code: 'models_unreadable',
    severity: remedy === MISCOUNTED && group.every(({ outcome }) => outcome === 'complete') ? 'note' : 'care',
    since: null,
    sentence: `${count(group.length, 'model')} not read${remedy === right ? '' : ' in full'}: ${reasoned(group)}`,
    remedy,
    command: 'flowlu-mirror doctor',
    models: group.map(({ model }) => model),
  }));
}

function judgeHeld({ held }: Facts): readonly Finding[] {
  return held.map(({ model, held }) => ({
    code: 'rows_held',
    severity: 'care',
    since: null,
    sentence: `${count(held, 'row')} of ${model} that Flowlu lists no more are kept: too many at once to be believed`,
    remedy:
      'Look in Flowlu whether they are really gone. If so, confirm it; if not, the list is at fault, and nothing is lost',
    command: `flowlu-mirror reconcile ${model} --full --allow-deletes ${held}`,
    models: [model],
  }));
}

function judgeErrors(facts: Facts): Finding | null {
  const { errors } = facts;
  if (errors.length === 0 || isShutOut(facts) || facts.silence !== null) return null;
  const failed = errors.map(({ model, last_error }) => ({ model, reason: last_error }));
  return {
    code: 'catch_up_failed',
    severity: 'care',
    since: null,
    sentence: `${count(errors.length, 'model')} could not be caught up: ${reasoned(failed)}`,
    remedy: AGAIN,
    command: 'flowlu-mirror reconcile',
    models: errors.map(({ model }) => model),
  };
}

const NOTHING_READ: Finding = {
  code: 'nothing_read',
  severity: 'note',
  since: null,
  sentence: 'Nothing has been read from Flowlu yet',
  remedy: '`serve` begins by itself; the command reads everything at once',
  command: 'flowlu-mirror backfill',
};

function judgeComparison(facts: Facts): Finding | null {
  const { hasApi, compared, compareEvery_s, firstReading, now } = facts;
  if (!(hasApi || compared.isCompared) || firstReading !== null || isShutOut(facts)) return null;
  if (compareEvery_s === 0) return null;
  const isNever = compared.age_s === null;
  if (isNever && !compared.isCompared) return NOTHING_READ;
  const age_s = compared.age_s ?? Number.POSITIVE_INFINITY;
  if (age_s <= Math.max(COMPARED_LATE_S, 3 * compareEvery_s)) return null;
  return {
    code: 'not_compared',
    severity: age_s > Math.max(COMPARED_OLD_S, 3 * compareEvery_s) ? 'bad' : 'care',
    since: isNever ? null : new Date(Date.parse(now) - age_s * 1_000).toISOString(),
    sentence: isNever ? 'No comparison with Flowlu has succeeded yet' : `Not compared with Flowlu for ${span(age_s)}`,
    remedy: '`status` lists the last runs with their reasons; a comparison can be started by hand',
    command: 'flowlu-mirror reconcile',
  };
}

function judgeDoubts({ doubts: { total, since }, hasApi, now }: Facts): Finding | null {
  if (!hasApi || since === null || Date.parse(now) - Date.parse(since) < DOUBT_MAX_S * 1_000) return null;
  return {
    code: 'doubts_unsettled',
    severity: 'care',
    since,
    sentence: `${count(total, 'doubtful row')} not settled`,
    remedy: 'The API is asked for them again and again; `verify` shows what differs',
    command: 'flowlu-mirror verify',
  };
}

function judgeHidden({ doubts: { hidden }, oauthClient }: Facts): Finding | null {
  if (hidden.length === 0) return null;
  const { name, better, give } = accessOf(oauthClient);
  const named = hidden.map(({ model, ids }) => `${model} ${ids.includes(',') ? 'ids' : 'id'} ${ids}`);
  return {
    code: 'rows_hidden',
    severity: 'care',
    since: null,
    sentence: `The ${name} sees fewer rows than there are: Flowlu refuses ${named.join('; ')}`,
    remedy: `They are kept as last known. ${capital(better)}, or ${give} the right to see them`,
    command: 'flowlu-mirror doctor',
    models: hidden.map(({ model }) => model),
  };
}

function judgeFirstReading(facts: Facts): Finding | null {
  const { firstReading, hasApi } = facts;
  if (firstReading === null) return null;
  const { models, modelsDone, rows, rowsExpected, left_s, since, goesOn } = firstReading;
  const parts = [
    `${modelsDone} of ${count(models, 'model')}`,
    rowsExpected > rows ? `${count(rows)} of about ${count(rowsExpected, 'row')}` : count(rows, 'row'),
    ...(left_s === null ? [] : [`${span(left_s)} left`]),
  ];
  const far = parts.join(', ');
  if (goesOn) {
    const sentence = `First reading: ${far}`;
    return { code: 'first_reading', severity: 'note', since, sentence, remedy: null, command: null };
  }
  if (!hasApi || isShutOut(facts)) return null;
  return {
    code: 'reading_interrupted',
    severity: 'care',
    since: null,
    sentence: `The first reading was interrupted at ${far}`,
    remedy: 'Nothing fills the mirror now. The command goes on where it stopped; `serve` does so, too',
    command: 'flowlu-mirror backfill',
  };
}

function judgeSilence({ hasApi, deliveries }: Facts): readonly Finding[] {
  const noApi: Finding = {
    code: 'no_api',
    severity: 'note',
    since: null,
    sentence: 'No API key is set: the mirror lives on webhooks alone and cannot find what they miss',
    remedy: 'Set FLOWLU_COMPANY and FLOWLU_API_KEY',
    command: 'flowlu-mirror doctor',
  };
  const noWebhook: Finding = {
    code: 'no_webhook',
    severity: 'note',
    since: null,
    sentence: 'No webhook has arrived yet',
    remedy: 'Enter the webhook address in the portal under System Settings → Webhooks',
    command: 'flowlu-mirror doctor --webhook',
  };
  return [...(hasApi ? [] : [noApi]), ...(deliveries.last_received_at === null ? [noWebhook] : [])];
}

/** Models with their reasons, the most frequent first. */
function reasoned(entries: readonly { readonly model: string; readonly reason: string | null }[]): string {
  const groups = [...groupBy(entries, ({ reason }) => reason ?? 'rows may have been missed')]
    .map(([reason, group]) => [listed(group.map(({ model }) => model)), reason, group.length] as const)
    .toSorted(([, , a], [, , b]) => b - a);
  const [only] = groups;
  if (groups.length === 1 && only !== undefined) return `${only[0]}: ${only[1]}`;
  return listed(groups.map(([names, reason]) => `${names} (${reason})`));
}
