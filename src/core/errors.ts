/** Errors that end a command without being a fault of the program. */

/** The command was called in a way that cannot work; the message says how it can. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The user asked to stop. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
