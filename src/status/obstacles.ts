/** What keeps the mirror from being read or written: its cause and what helps, in the same words wherever it is met. */
import { TimeoutError, withTimeout } from '../core/time.ts';
import { ownership } from '../migrate/owner.ts';
import { type MissingRights, missingRights } from '../migrate/rights.ts';
import { type Cause, causeOf, STANDBY_AWAITED, UNKNOWN } from '../postgres/causes.ts';
import { errorCode, isConnectionError, type Sql } from '../postgres/connection.ts';
import { catalogueHolders, heldWords, type LockHolder, lockHolders, standbyAwaitedSince } from '../postgres/locks.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { LEDGER } from '../store/deliveries/ledger.ts';
import type { Finding } from './finding.ts';
import { single } from './shared.ts';
import { capital } from './words.ts';

/** Longest search for a cause; health checks give up after four seconds. */
export const LOOK_MAX_MS = 700;
const NO_ANSWER = causeOf({ code: 'ETIMEDOUT' });

/** Whether there was no answer in time. */
export const isLate = (error: unknown) => error instanceof TimeoutError || errorCode(error) === 'ETIMEDOUT';

interface Call {
  /** Whether a webhook was to be recorded. */
  readonly isWriting?: boolean;
  /** Whether the database is there all the same. */
  readonly isThere?: Promise<boolean>;
  readonly since?: string | null;
}

/** The cause of a failed call, as findings of which the first says it all. */
export async function obstaclesOf(
  sql: Sql,
  error: unknown,
  { isWriting = false, isThere, since = null }: Call = {},
): Promise<readonly Finding[]> {
  const code = errorCode(error);
  const isTooLate = isLate(error);
  const about = { since, stops_webhooks: isWriting };
  if (isTooLate || code === SQLSTATE.lockNotAvailable) {
    const looks = [looksOf(sql).holders, looksOf(sql).catalogues].map((look) => soon(look, []));
    const holders = (await Promise.all(looks)).flat();
    if (holders.length > 0) return holders.map((held) => ({ ...lockFinding(held), stops_webhooks: isWriting }));
  }
  const isRight = code === SQLSTATE.insufficientPrivilege;
  const rights = isRight ? await soon(looksOf(sql).rights, null) : null;
  if (rights !== null) return [{ ...rightsFinding(rights), ...about }];
  const isAway = isTooLate || isConnectionError(error);
  const isAwaited = isAway && (await soon(looksOf(sql).standby, null)) !== null;
  const known = isAwaited ? STANDBY_AWAITED : isTooLate ? NO_ANSWER : causeOf(error);
  // A right of which nobody knows here.
  const own = isRight ? await soon(looksOf(sql).own, null) : null;
  const remedy = own === null ? known.remedy : `as the owner of the mirror: grant ${own.writer} to ${own.role}`;
  const found = findingOf({ ...known, remedy }, { code, isWriting, isAway: isAway && (await isThere) !== true });
  return [{ ...found, ...about }];
}

/** Whether all that is known is that there was no answer in time. */
export const isUnexplained = (found: readonly Finding[]) =>
  found.every(({ sentence }) => sentence.toLowerCase().includes(NO_ANSWER.cause.toLowerCase()));

function findingOf(
  { cause, remedy }: Cause,
  {
    code,
    isWriting,
    isAway,
  }: { readonly code: string | undefined; readonly isWriting: boolean; readonly isAway: boolean },
): Finding {
  if (code === SQLSTATE.lockNotAvailable) return bad('locked', capital(cause), capital(remedy));
  if (isWriting) return notAccepting({ cause, remedy });
  if (isAway) {
    const repeated = `${capital(remedy)}. Senders are asked to repeat their webhooks meanwhile`;
    return bad('database_away', capital(cause), repeated);
  }
  if (cause === UNKNOWN.cause) return bad('not_readable', 'The status could not be read', 'The log has the reason');
  return bad('not_readable', `The status could not be read: ${cause}`, capital(remedy));
}

/** Looks of one pool, one at a time of each kind: one that hangs takes one connection. */
const looks = new WeakMap<Sql, ReturnType<typeof createLooks>>();
const createLooks = (sql: Sql) => ({
  holders: single(() => lockHolders(sql, LEDGER)),
  catalogues: single(() => catalogueHolders(sql)),
  rights: single(() => missingRights(sql)),
  own: single(() => ownership(sql)),
  standby: single(() => standbyAwaitedSince(sql, true)),
});
function looksOf(sql: Sql) {
  const known = looks.get(sql) ?? createLooks(sql);
  looks.set(sql, known);
  return known;
}

const soon = <T>(look: () => Promise<T>, otherwise: T) => withTimeout(look(), LOOK_MAX_MS).catch(() => otherwise);

const bad = (code: Finding['code'], sentence: string, remedy: string): Finding => ({
  code,
  severity: 'bad',
  since: null,
  sentence,
  remedy,
  command: 'flowlu-mirror doctor --quick',
});

export const notAccepting = ({ cause, remedy }: Cause): Finding => ({
  ...bad('not_accepting', `Webhooks cannot be recorded: ${cause}`, capital(remedy)),
  stops_webhooks: true,
});

export function rightsFinding({ found, advice, stopsWebhooks }: MissingRights): Finding {
  return { ...bad('rights_missing', capital(found), capital(advice)), stops_webhooks: stopsWebhooks };
}

export function lockFinding(holder: LockHolder): Finding {
  const remedy = `Changes wait for it, and are applied when it ends. End it with: ${holder.remedy}`;
  return { ...bad('locked', heldWords(holder), remedy), since: new Date(momentOf(holder.since)).toISOString() };
}

/** Words may follow the time. */
export const momentOf = (since: string) => Date.parse(since.split(' ')[0] ?? '');
