/**
 * Ends of waits for the database, on our side.
 *
 * A connection can die without a word: a router forgets it, a proxy stops passing bytes. The server's own limits then
 * help nobody here, and the driver has none (github.com/porsager/postgres/issues/1089).
 */
import { type DriverQuery, isQuery } from './driver-query.ts';

/** An object, so that a test can reach them sooner. */
export const DEADLINES = {
  /** How much longer than the server may work on a statement its answer may take. */
  answerGraceMs: 2_000,
  /** Between the two looks of a deadline. */
  secondLookMs: 250,
  /** How long statements on the other connections of a replaced pool may go on. */
  replacedPoolSeconds: 5,
};

/** The database has not answered in time. The connection that it should have answered on is not used any more. */
class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  readonly code = 'ETIMEDOUT';
}

export const noAnswer = (limitMs: number) => new NoAnswerError(`no answer from the database within ${limitMs} ms`);

/**
 * Calls back after `ms`, unless the returned function is called before. Looks twice: where this process was busy for long,
 * the answer has come and is only not read yet.
 */
export function startDeadline(ms: number, onExpired: () => void): () => void {
  let timer = setTimeout(() => {
    timer = setTimeout(onExpired, DEADLINES.secondLookMs);
  }, ms);
  return () => clearTimeout(timer);
}

/**
 * Limits how long a statement outside a transaction may take, from when it is asked for. Past the limit it rejects and is
 * withdrawn; where the server does not even answer to that, the connection is given up.
 */
export function limit(query: DriverQuery, limitMs: number, giveUp: () => void): void {
  const { handler, resolve, reject } = query;
  query.handler = (sent) => {
    const mostMs = query.options.limitMs ?? limitMs;
    let stop = startDeadline(mostMs, () => {
      stop = withdraw(query, giveUp);
      reject(noAnswer(mostMs));
    });
    query.resolve = (value) => {
      stop();
      resolve(value);
    };
    query.reject = (error) => {
      stop();
      reject(error);
    };
    handler(sent);
  };
}

/** Asks the server to stop working on a statement that it was sent; whether it hears that is not known. */
export function askToStop(query: DriverQuery): void {
  if (query.state !== null) query.canceller?.(query)?.catch(() => {});
}

/**
 * Takes back a statement that nobody waits for any more. The driver's `cancel` is not enough: it leaves a failure to reach
 * the server unhandled, which ends the process, and loses the connection of a statement that waits for it to open.
 * @returns ends the wait for the server's answer
 */
export function withdraw(query: object, giveUp: () => void): () => void {
  if (!isQuery(query) || !query.executed) return () => {};
  if (query.state === null) {
    // Not sent yet: when it is its turn, it does nothing.
    query.strings = ['select'];
    query.args = [];
    query.options.onexecute = undefined;
    return () => {};
  }
  // A statement that begins a transaction has nothing to be cancelled.
  if (query.options.onexecute !== undefined) giveUp();
  else askToStop(query);
  return startDeadline(DEADLINES.answerGraceMs, giveUp);
}
