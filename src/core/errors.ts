/** Errors that end a command without being a fault of the program. */

/** The command was called in a way that cannot work; the message explains the right way. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
