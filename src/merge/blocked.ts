/**
 * Models whose tables cannot be written at the moment, such as while somebody holds a lock on one. Their deliveries stay
 * out of the common batches for some seconds, so that the others do not wait for them.
 */

/** A model's rows could not be locked or written, for a reason that lies with the moment. */
export class BlockedError extends Error {
  override readonly name = 'BlockedError';
  constructor(
    readonly model: string,
    cause: unknown,
  ) {
    super(`the rows of ${model} cannot be written at the moment`, { cause });
  }
}

const LEFT_ALONE_MS = 10_000;

export interface BlockedModels {
  now(): ReadonlySet<string>;
  /** Notes the model that an error names; false when it names none. */
  note(error: unknown): boolean;
}

export function createBlockedModels(): BlockedModels {
  const until = new Map<string, number>();
  return {
    now() {
      for (const [model, end] of until) if (end <= performance.now()) until.delete(model);
      return new Set(until.keys());
    },
    note(error) {
      if (!(error instanceof BlockedError)) return false;
      until.set(error.model, performance.now() + LEFT_ALONE_MS);
      return true;
    },
  };
}
