/**
 * How the mirror is, judged in one place: what is found, since when, and what to type. The page, `/app`, `/readyz`, the
 * metrics, `status` and `doctor` all show these findings and judge nothing themselves.
 */
import type { SchemaState } from '../migrate/migrations.ts';
import { REFUSED } from '../store/listings.ts';
import type { Facts } from './facts.ts';
import { ageOf, count, groupBy, listed, span } from './words.ts';

/** `bad`: out of order. `care`: the mirror goes on, but a person has to look. `note`: nothing to do. */
export type Severity = 'bad' | 'care' | 'note';

export type FindingCode =
  | 'database_away'
  | 'schema'
  | 'not_accepting'
  | 'not_readable'
  | 'key_refused'
  | 'login_refused'
  | 'deliveries_failed'
  | 'deliveries_waiting'
  | 'models_unreadable'
  | 'catch_up_failed'
  | 'not_compared'
  | 'doubts_unsettled'
  | 'rows_hidden'
  | 'first_reading'
  | 'no_api'
  | 'no_webhook';

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** ISO 8601; null where nobody knows. */
  readonly since: string | null;
  /** One sentence without a full stop. */
  readonly sentence: string;
  /** What to do, as a sentence; null where nothing has to be done. */
  readonly remedy: string | null;
  /** What to type, if anything. */
  readonly command: string | null;
  /** The models concerned, where it is some of them. */
  readonly models?: readonly string[];
}

/** What can be known: the facts of the database, or why there are none. */
export type Situation =
  | { readonly kind: 'there'; readonly facts: Facts }
  | { readonly kind: 'unfit'; readonly schema: Exclude<SchemaState, 'current'> }
  | { readonly kind: 'away'; readonly cause: string; readonly remedy: string; readonly since: string | null };

/** In one word: the worst that was found, or that the first reading is still under way. */
export type State = 'bad' | 'care' | 'reading' | 'good';

export interface Assessment {
  readonly state: State;
  /** A few words. */
  readonly headline: string;
  /** One sentence more. */
  readonly sentence: string;
  /** Worst first. */
  readonly findings: readonly Finding[];
}

/** An occasional delivery waits for a lock or a retry; longer than this something is wrong. */
const WAITING_MAX_S = 120;
const DOUBT_MAX_S = 6 * 3_600;
/** A comparison is late after this long, or three intervals, whichever is more. */
const COMPARED_LATE_S = 20 * 60;
/** And this late, nobody should rely on the mirror. */
const COMPARED_OLD_S = 36 * 3_600;

const ORDER: Readonly<Record<Severity, number>> = { bad: 0, care: 1, note: 2 };

/** Everything that is found, worst first. Pure. */
export function assess(situation: Situation): Assessment {
  if (situation.kind !== 'there') {
    const finding = situation.kind === 'away' ? databaseAway(situation) : schemaFinding(situation.schema);
    return { state: 'bad', headline: finding.sentence, sentence: finding.remedy ?? '', findings: [finding] };
  }
  const { facts } = situation;
  const sorted = JUDGES.flatMap((judge) => judge(facts) ?? []).toSorted(
    (a, b) => ORDER[a.severity] - ORDER[b.severity],
  );
  const [worst] = sorted;
  if (worst !== undefined && worst.severity !== 'note') {
    return { state: worst.severity, headline: worst.sentence, sentence: worst.remedy ?? '', findings: sorted };
  }
  const reading = sorted.find(({ code }) => code === 'first_reading');
  if (reading !== undefined) {
    const sentence = 'The mirror is being filled. Changes that Flowlu announces meanwhile are applied at once';
    return { state: 'reading', headline: reading.sentence, sentence, findings: sorted };
  }
  return {
    state: 'good',
    headline: facts.hasApi ? 'Up to date' : 'Receiving',
    sentence: freshness(facts),
    findings: sorted,
  };
}

/** Whether a person has to do something. */
export const needsPerson = ({ state }: Pick<Assessment, 'state'>) => state === 'bad' || state === 'care';

function freshness(facts: Facts): string {
  const { last_received_at } = facts.deliveries;
  const webhook =
    last_received_at === null ? 'no webhook so far' : `last webhook ${ageOf(last_received_at, facts.now)}`;
  if (!facts.hasApi) return `${capital(webhook)}; without an API key nobody can tell what was missed`;
  const compared = facts.compared.age_s === null ? 'not compared yet' : `last comparison ${ago(facts.compared.age_s)}`;
  return `${capital(webhook)}, ${compared}`;
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
const ago = (seconds: number) => `${span(seconds)} ago`;

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

/** A schema that this program cannot work on, and what helps. */
const SCHEMA: Readonly<Record<Exclude<SchemaState, 'current'>, Pick<Finding, 'sentence' | 'command'>>> = {
  empty: { sentence: 'The database has no schema', command: 'flowlu-mirror migrate' },
  behind: { sentence: 'The database schema is of an earlier version', command: 'flowlu-mirror migrate' },
  newer: {
    sentence: 'The database schema is newer than this program; run the newer version',
    command: 'flowlu-mirror --version',
  },
};

function schemaFinding(state: Exclude<SchemaState, 'current'>): Finding {
  return {
    ...SCHEMA[state],
    code: 'schema',
    severity: 'bad',
    since: null,
    remedy: 'Nothing is applied before that is done',
  };
}

/** One judge for each kind of trouble; each sees all facts. A further one is a further line. */
const JUDGES: readonly ((facts: Facts) => Finding | readonly Finding[] | null)[] = [
  judgeReadiness,
  judgeKey,
  judgeLogin,
  judgeFailed,
  judgeWaiting,
  judgeReading,
  judgeErrors,
  judgeComparison,
  judgeDoubts,
  judgeHidden,
  judgeFirstReading,
  judgeSilence,
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

function judgeKey({ refusal }: Facts): Finding | null {
  return (
    refusal && {
      code: 'key_refused',
      severity: 'bad',
      since: refusal.since,
      sentence: `Flowlu refuses the API key (${refusal.words})`,
      remedy:
        'Make a new key in the portal under Settings, API; set FLOWLU_API_KEY to it and start the mirror again. A key that works again is noticed within ten minutes, or by any reading',
      command: 'flowlu-mirror reconcile',
    }
  );
}

function judgeLogin({ grant }: Facts): Finding | null {
  if (grant?.state !== 'refused') return null;
  return {
    code: 'login_refused',
    severity: 'bad',
    since: grant.issued_at,
    sentence: `Flowlu has withdrawn the login${grant.problem === null ? '' : ` (${grant.problem})`}`,
    remedy: 'Log in again; until then changes come by webhook only',
    command: 'flowlu-mirror login',
  };
}

function judgeFailed({ deliveries: { failed, failed_since } }: Facts): Finding | null {
  if (failed === 0) return null;
  return {
    code: 'deliveries_failed',
    severity: 'care',
    since: failed_since,
    sentence: `${count(failed, 'delivery', 'deliveries')} could not be applied`,
    remedy: 'Read the reason below; once it is mended, apply them again',
    command: 'flowlu-mirror replay --failed',
  };
}

function judgeWaiting({ deliveries: { pending, pending_since }, now }: Facts): Finding | null {
  if (pending_since === null || Date.parse(now) - Date.parse(pending_since) < WAITING_MAX_S * 1_000) return null;
  return {
    code: 'deliveries_waiting',
    severity: 'care',
    since: pending_since,
    sentence: `${count(pending, 'delivery', 'deliveries')} stored but not applied`,
    remedy: 'Somebody holds a lock, or the service does not run; `doctor` says which',
    command: 'flowlu-mirror doctor --quick',
  };
}

/** Models that cannot be read, one finding for each reason. */
function judgeReading({ unread }: Facts): readonly Finding[] {
  return grouped(unread.map(({ model, reason }) => ({ model, reason: reason ?? 'rows may have been missed' }))).map(
    ([reason, models]) => ({
      code: 'models_unreadable',
      severity: 'care',
      since: null,
      sentence: `${count(models.length, 'model')} not read in full: ${listed(models)}: ${reason}`,
      remedy: reason.startsWith(REFUSED)
        ? "Give the key's user the right to read them, or leave them out with FLOWLU_MODELS"
        : 'The rest of them is mirrored. Open the records in Flowlu and save them again, or ask its support; `doctor --record` collects what the portal answers',
      command: 'flowlu-mirror doctor',
      models,
    }),
  );
}

function judgeErrors({ errors, refusal }: Facts): readonly Finding[] {
  if (refusal !== null) return [];
  return grouped(errors.map(({ model, last_error }) => ({ model, reason: last_error }))).map(([reason, models]) => ({
    code: 'catch_up_failed',
    severity: 'care',
    since: null,
    sentence: `${count(models.length, 'model')} could not be caught up: ${listed(models)}: ${reason}`,
    remedy: 'It is tried again by itself; if it goes on, read the log',
    command: 'flowlu-mirror reconcile',
    models,
  }));
}

function judgeComparison({
  hasApi,
  compared,
  compareEvery_s,
  firstReading,
  refusal,
  grant,
  now,
}: Facts): Finding | null {
  // Whoever cannot ask cannot compare: that is said already.
  if (!(hasApi || compared.isCompared) || firstReading !== null || refusal !== null || grant?.state === 'refused')
    return null;
  if (compareEvery_s === 0) return null;
  const isNever = compared.age_s === null;
  const age_s = compared.age_s ?? Number.POSITIVE_INFINITY;
  if (age_s <= Math.max(COMPARED_LATE_S, 3 * compareEvery_s)) return null;
  if (isNever && !compared.isCompared) return null;
  return {
    code: 'not_compared',
    severity: age_s > Math.max(COMPARED_OLD_S, 3 * compareEvery_s) ? 'bad' : 'care',
    since: isNever ? null : new Date(Date.parse(now) - age_s * 1_000).toISOString(),
    sentence: isNever ? 'No comparison with Flowlu has succeeded yet' : `Not compared with Flowlu for ${span(age_s)}`,
    remedy: 'Look at the last runs below; a comparison can be started by hand',
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

function judgeHidden({ doubts: { hidden } }: Facts): Finding | null {
  if (hidden.length === 0) return null;
  return {
    code: 'rows_hidden',
    severity: 'care',
    since: null,
    sentence: `The key sees fewer rows than there are: Flowlu refuses ${hidden.map(({ model, ids }) => `${model} ${ids}`).join('; ')}`,
    remedy:
      "They are kept as last known. Use the key of an administrator, or give the key's user the right to see them",
    command: 'flowlu-mirror doctor',
    models: hidden.map(({ model }) => model),
  };
}

function judgeFirstReading({ firstReading }: Facts): Finding | null {
  if (firstReading === null) return null;
  const { models, modelsDone, rows, rowsExpected, left_s, since } = firstReading;
  const parts = [
    `${modelsDone} of ${count(models, 'model')}`,
    rowsExpected > rows ? `${count(rows)} of about ${count(rowsExpected, 'row')}` : count(rows, 'row'),
    ...(left_s === null ? [] : [`${span(left_s)} left`]),
  ];
  return {
    code: 'first_reading',
    severity: 'note',
    since,
    sentence: `First reading: ${parts.join(', ')}`,
    remedy: null,
    command: null,
  };
}

function judgeSilence({ hasApi, deliveries }: Facts): readonly Finding[] {
  const note = { severity: 'note', since: null } as const;
  return [
    ...(hasApi
      ? []
      : [
          {
            ...note,
            code: 'no_api' as const,
            sentence: 'No API key is set: the mirror lives on webhooks alone and cannot find what they miss',
            remedy: 'Set FLOWLU_COMPANY and FLOWLU_API_KEY',
            command: 'flowlu-mirror doctor',
          },
        ]),
    ...(deliveries.last_received_at !== null
      ? []
      : [
          {
            ...note,
            code: 'no_webhook' as const,
            sentence: 'No webhook has arrived yet',
            remedy: 'Enter the webhook address in the portal under Settings, Webhooks',
            command: 'flowlu-mirror doctor --webhook',
          },
        ]),
  ];
}

/** Models by what is said of them, the most frequent first. */
function grouped(entries: readonly { readonly model: string; readonly reason: string }[]) {
  return [...groupBy(entries, ({ reason }) => reason)]
    .map(([reason, group]) => [reason, group.map(({ model }) => model)] as const)
    .sort(([, a], [, b]) => b.length - a.length);
}
