/**
 * Models whose tables cannot be written now, for example because somebody holds a lock on one. Their deliveries stay
 * out of the common batches for some seconds, so that others need not wait for them. If the locked table is one that
 * all models share, such as the history, this applies to all models.
 */
import type { Logger } from '../core/log.ts';
import { type MirrorTable, placeOf } from '../mirror-rows/rows.ts';
import { causeOf } from '../postgres/causes.ts';
import { errorCode, type Sql } from '../postgres/connection.ts';
import { holderWords, lockHolders } from '../postgres/locks.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';

/** A model's rows cannot be locked or written now, for a temporary reason. */
export class BlockedError extends Error {
  override readonly name = 'BlockedError';
  constructor(
    readonly table: MirrorTable,
    cause: unknown,
  ) {
    super(`the rows of ${table.name} cannot be written at the moment`, { cause });
  }
}

/** Stands for all models: no delivery can be applied. */
export const ALL_MODELS = '*';
/** An object, so that a test can shorten it. */
export const BLOCKED = { leftAloneMs: 10_000 };

export type BlockedModels = ReturnType<typeof createBlockedModels>;

export function createBlockedModels() {
  const found = new Map<string, { readonly sinceMs: number; readonly why: string }>();
  /** The blocked models, each with the reason. */
  function now(): ReadonlyMap<string, string> {
    const leftMs = performance.now() - BLOCKED.leftAloneMs;
    for (const [model, { sinceMs }] of found) if (sinceMs <= leftMs) found.delete(model);
    return new Map([...found].map(([model, { why }]) => [model, why]));
  }
  return {
    now,
    /** Notes the model, or all models, that an error shows to be blocked; null if it shows nothing of the kind. */
    note(error: unknown): { readonly isNew: boolean } | null {
      const isShared = errorCode(error) === SQLSTATE.lockNotAvailable;
      if (!(isShared || error instanceof BlockedError)) return null;
      const model = error instanceof BlockedError ? error.table.name : ALL_MODELS;
      const isNew = !now().has(model);
      found.set(model, { sinceMs: performance.now(), why: whyWaiting(error) });
      return { isNew };
    },
  };
}

/** Why deliveries wait, for the ledger: locks in our words, anything else in those of the database. */
export function whyWaiting(error: unknown): string {
  const cause = error instanceof BlockedError ? error.cause : error;
  if (errorCode(cause) === SQLSTATE.lockNotAvailable) return causeOf(cause).cause;
  return reasonOf(cause);
}

/** The message of an error, cut to the length that the ledger keeps. */
export const reasonOf = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).slice(0, MAX_REASON_LENGTH);
const MAX_REASON_LENGTH = 500;

/** Notes what an error shows to be blocked and logs once who blocks it; false if it shows nothing of the kind. */
export async function noteBlocked(
  error: unknown,
  deps: { readonly sql: Sql; readonly context: { readonly blocked: BlockedModels }; readonly log: Logger },
): Promise<boolean> {
  const { sql, context, log } = deps;
  const noted = context.blocked.note(error);
  if (noted?.isNew !== true) return noted !== null;
  const [what, about] =
    error instanceof BlockedError ? ['a model', placeOf(error.table).relation] : ['what all models share', 'sync.'];
  const holders = (await lockHolders(sql, about.replaceAll('"', '')).catch(() => [])).map(holderWords);
  log.warn({ err: error, holders }, `${what} is blocked; its deliveries wait until that is over`);
  return true;
}
