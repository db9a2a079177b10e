/**
 * What the log says of deliveries that are refused for the moment (503): an outage refuses thousands, and one line for
 * each would hide what is wrong. The first is told at once, as is each new cause; then one line says how many while it
 * lasts, and one when it is over.
 */
import type { Logger } from '../core/log.ts';
import type { Cause } from '../postgres/causes.ts';
import { errorCode } from '../postgres/errors.ts';

/** An object, so that a test can reach them sooner. */
export const BURST = {
  saidEveryMs: 30_000,
  /** It is over when a delivery is stored, and none has been refused for so long: where some succeed, others may not. */
  quietMs: 5_000,
};

export function createRefusals(log: Logger) {
  let burst: { readonly sinceMs: number; lastMs: number; saidMs: number; readonly causes: Map<string, number> } | null =
    null;
  const summary = ({ sinceMs, lastMs, causes }: NonNullable<typeof burst>) => ({
    refused: [...causes.values()].reduce((sum, count) => sum + count),
    seconds: Math.round((lastMs - sinceMs) / 1_000),
    causes: Object.fromEntries(causes),
  });
  return {
    refused({ cause, remedy }: Cause, error: Error) {
      const now = performance.now();
      burst ??= { sinceMs: now, lastMs: now, saidMs: now, causes: new Map() };
      const { causes, saidMs } = burst;
      const before = causes.get(cause) ?? 0;
      causes.set(cause, before + 1);
      burst.lastMs = now;
      if (before > 0 && now - saidMs < BURST.saidEveryMs) return;
      burst.saidMs = now;
      if (before > 0) return log.warn(summary(burst), 'deliveries are still refused');
      const words = { cause, remedy, error: error.message, code: errorCode(error) };
      log.warn(words, 'deliveries are refused; their senders are told to send them again');
    },
    stored() {
      if (burst === null || performance.now() - burst.lastMs < BURST.quietMs) return;
      log.warn(summary(burst), 'deliveries are stored again');
      burst = null;
    },
  };
}
