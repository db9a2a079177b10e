/** Interference with the tables by others: locks, and triggers or rules on the rows. */

import { heldWords, type LockHolder } from '../postgres/locks.ts';
import { LEDGER } from '../store/deliveries/ledger.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';

/** Creating an index or changing a table takes less. */
const LOCKED_MAX_S = 10;

export function judgeLocks({ locks, now }: Facts): readonly Finding[] {
  return locks
    .filter(({ since }) => Date.parse(now) - momentOf(since) > LOCKED_MAX_S * 1_000)
    .map((holder) => ({ ...lockFinding(holder, null), code: 'locked', sentence: heldWords(holder) }));
}

/** A trigger or rule that may change or drop rows without any error. */
export function judgeInterceptors({ interceptors }: Facts): readonly Finding[] {
  return interceptors.map(({ relation, name, remedy }) => ({
    code: 'rows_intercepted',
    severity: 'care',
    since: null,
    sentence: `Rows of ${relation} pass through a ${name} of somebody else, which may change or drop them`,
    remedy: `Let it act after the row, in a table of its own; then verify what it has done. It is taken out of the way with: ${remedy}`,
    command: 'flowlu-mirror verify --repair',
  }));
}

/** A lock that prevents reading the health. @param isRecording whether deliveries can still be recorded */
export function lockFinding(holder: LockHolder, isRecording: boolean | null): Finding {
  const isBlocking = !(isRecording ?? holder.relation !== LEDGER);
  return {
    code: isBlocking ? 'not_accepting' : 'locked',
    severity: 'bad',
    since: new Date(momentOf(holder.since)).toISOString(),
    sentence: `${isBlocking ? 'Webhooks cannot be recorded: ' : ''}${heldWords(holder)}`,
    remedy: `Changes wait for it, and are applied when it ends. End it with: ${holder.remedy}`,
    command: 'flowlu-mirror doctor --quick',
  };
}

/** Words may follow the time. */
const momentOf = (since: string) => Date.parse(since.split(' ')[0] ?? '');
