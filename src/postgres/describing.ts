/**
 * Sends a statement with its values at once.
 *
 * The driver first asks the server which types the parameters have, and waits: one round trip more for each statement that
 * a connection does not know yet, and for each at all without prepared statements. With the database some milliseconds
 * away, ten connections and a hundred tables, that is what the first minutes are spent on. Values that are written alike
 * for every type need not wait.
 */
import type postgres from 'postgres';

/** Of the driver's queries what concerns us (postgres 3.4.9, src/connection.js, `build`). */
interface Described {
  readonly parameters: readonly unknown[];
  readonly onlyDescribe?: unknown;
  [DESCRIBES]?: boolean;
}

const DESCRIBES: unique symbol = Symbol('asks for the types of its parameters first');

/** Objects and arrays are written according to their type; a `Date` says itself which one it has. */
const isPlain = (value: unknown) => typeof value !== 'object' || value === null || value instanceof Date;

/** Changes how the driver sends statements, for all of its pools. */
export function sendAtOnce(sql: postgres.Sql): void {
  const prototype = Object.getPrototypeOf(sql`select`) as object;
  if (Object.hasOwn(prototype, 'describeFirst')) return;
  Object.defineProperty(prototype, 'describeFirst', {
    get(this: Described) {
      return this[DESCRIBES];
    },
    set(this: Described, isAsked: unknown) {
      this[DESCRIBES] = Boolean(isAsked) && (this.onlyDescribe !== undefined || !this.parameters.every(isPlain));
    },
  });
}
