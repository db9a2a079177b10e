/** What is wrong with a database that does not do what was asked, and what helps: the words for people. */
import { codesOf, isConnectionError } from './errors.ts';
import { SQLSTATE } from './sqlstates.ts';

export interface Cause {
  readonly cause: string;
  readonly remedy: string;
}

/** By SQLSTATE, or by the first two characters of one. */
const CAUSES: Readonly<Record<string, Cause>> = {
  [SQLSTATE.readOnlyTransaction]: {
    cause: 'the database takes no writes: it is a standby, or set to read-only',
    remedy:
      'name the primary in DATABASE_URL, or reset default_transaction_read_only; a full disk at the host may be the reason',
  },
  53100: { cause: 'the disk of the database is full', remedy: 'free space there, or make the disk larger' },
  53200: { cause: 'the database is out of memory', remedy: 'give it more, or less to do' },
  [SQLSTATE.tooManyConnections]: {
    cause: 'the database takes no more connections',
    remedy: 'raise max_connections, lower DATABASE_POOL, or end what else is connected',
  },
  [SQLSTATE.lockNotAvailable]: {
    cause: 'another session of the database holds a lock that is needed',
    remedy: 'the log and `flowlu-mirror status` name it, and the statement that ends it',
  },
  [SQLSTATE.queryCanceled]: {
    cause: 'the database takes too long over a statement, or somebody cancels it',
    remedy: 'look at its load and its disk; behind a pooler, at statement_timeout of the role and of the database',
  },
  [SQLSTATE.insufficientPrivilege]: {
    cause: 'the database role lacks a right',
    remedy: '`flowlu-mirror status` names it, and the statement that gives it',
  },
  [SQLSTATE.transactionTimeout]: {
    cause: 'transaction_timeout of the role or of the database ends what the mirror does',
    remedy: 'raise it; 0 is no limit: alter role … set transaction_timeout = 0',
  },
  STATEMENT_LOST: {
    cause: 'a pooler in front of the database forgets prepared statements',
    remedy: 'add ?prepare=false to DATABASE_URL',
  },
  DATABASE_TLS: {
    cause: 'the database cannot be reached by TLS',
    remedy: 'look at sslmode and sslrootcert in DATABASE_URL',
  },
  ETIMEDOUT: { cause: 'the database does not answer', remedy: 'look at the server and at the network between' },
  WRONG_SERVER: {
    cause: 'no server is of the kind that is asked for',
    remedy: 'look at target_session_attrs in DATABASE_URL',
  },
  28: { cause: 'the database refuses the login', remedy: 'look at user and password in DATABASE_URL' },
  '3D': { cause: 'the database of that name does not exist', remedy: 'create it, or correct DATABASE_URL' },
  '42': { cause: 'the database lacks a table or a column of the mirror', remedy: 'run: flowlu-mirror migrate' },
};
const AWAY: Cause = { cause: 'the database is away', remedy: 'look at the server and at DATABASE_URL' };
/** What a statement that takes too long does not say of itself. */
export const STANDBY_AWAITED: Cause = {
  cause: 'commits wait for a synchronous standby that is not there',
  remedy: 'bring it back, or clear synchronous_standby_names on the server and reload its configuration',
};
/** Where nothing is known but the server's own words. */
export const UNKNOWN: Cause = { cause: 'the database refuses what is written', remedy: 'the log has its words' };

export function causeOf(error: unknown): Cause {
  const known = codesOf(error).map((code) => CAUSES[code] ?? CAUSES[code.slice(0, 2)]);
  return known.find((cause) => cause !== undefined) ?? (isConnectionError(error) ? AWAY : UNKNOWN);
}
