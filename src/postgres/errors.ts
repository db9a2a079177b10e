/** What a failed database call means for the caller: try again later, try again now, or give up. */
import { SQLSTATE } from './sqlstates.ts';

/** SQLSTATEs with which a server goes away or takes no connection or no writes now. */
const AWAY: ReadonlySet<string> = new Set([
  SQLSTATE.readOnlyTransaction, // a standby, or set to read-only
  SQLSTATE.adminShutdown,
  SQLSTATE.crashShutdown,
  SQLSTATE.cannotConnectNow, // starting up or in recovery
  SQLSTATE.idleSessionTimeout,
  SQLSTATE.tooManyConnections,
]);

/** Codes of the driver and of the socket below it. */
const UNREACHABLE = new Set([
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EAI_AGAIN',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** With these the same transaction may well succeed when run again. */
const RETRYABLE: ReadonlySet<string> = new Set([
  SQLSTATE.transactionRollback, // a commit was answered by rolling back
  SQLSTATE.serializationFailure,
  SQLSTATE.deadlockDetected,
  // Only new mirror rows are inserted without an answer to conflicts, so another transaction was faster.
  SQLSTATE.uniqueViolation,
  // The same of those that meet in an empty database, and make the same schema.
  SQLSTATE.duplicateSchema,
  SQLSTATE.duplicateTable,
  // A prepared statement that the server has lost was not executed, and is prepared again.
  'STATEMENT_LOST',
]);

/** With these the statement may well succeed later, as it stands: the moment is to blame, and not what was to be written. */
const PASSING: ReadonlySet<string> = new Set([
  SQLSTATE.insufficientPrivilege,
  SQLSTATE.lockNotAvailable,
  SQLSTATE.queryCanceled, // by a time-out or by somebody
]);

/** Says why a server takes no writes, by what it has said of itself while it let us in. */
export function readOnlyServer(is: ReadonlyMap<string, string>, name: string): Error {
  const text =
    is.get('in_hot_standby') === 'on'
      ? `this server (${name}) is a standby, which takes no writes: DATABASE_URL must name the primary`
      : `this server (${name}) is set to read-only (default_transaction_read_only)`;
  return Object.assign(new Error(text), { code: SQLSTATE.readOnlyTransaction });
}

/** How deep a chain of causes is followed; ours are two or three long. */
const CAUSES_MAX = 8;

/** True when the database is away, restarting, full or read-only: the statement may be fine, the moment is not. */
export function isConnectionError(error: unknown): boolean {
  return codesOf(error).some((code) => AWAY.has(code) || UNREACHABLE.has(code) || /^08[0-9A-Z]{3}$/.test(code));
}

/** True when the transaction lost a race (serialization failure, deadlock, a row that another one inserted first) or its prepared statements, and should simply run again. */
export function isRetryable(error: unknown): boolean {
  return codesOf(error).some((code) => RETRYABLE.has(code));
}

export function isMissing(error: unknown): boolean {
  const code = errorCode(error);
  return code === SQLSTATE.undefinedTable || code === SQLSTATE.invalidSchemaName;
}

/** True for what lies with the moment: no connection, a lost race, a lock not granted in time, no disk, no memory, no right. */
export function isPassing(error: unknown): boolean {
  return (
    isConnectionError(error) ||
    isRetryable(error) ||
    codesOf(error).some((code) => PASSING.has(code) || /^53[0-9A-Z]{3}$/.test(code))
  );
}

/** The SQLSTATE, driver code or errno of an error, or undefined where it has none. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The codes of an error, of its causes and, where several hosts were tried, of each host's error. */
export function codesOf(error: unknown, depth = 0): readonly string[] {
  if (depth > CAUSES_MAX || typeof error !== 'object' || error === null) return [];
  const inner = [...(error instanceof AggregateError ? error.errors : []), 'cause' in error ? error.cause : null];
  return [errorCode(error) ?? [], ...inner.map((one) => codesOf(one, depth + 1))].flat();
}
