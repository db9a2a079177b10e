import { Command } from 'commander';
import { settleDue } from '../../merge/settle.ts';
import { catchUpAll, sweepAll } from '../../reconcile/catch-up.ts';
import type { ListingDeps } from '../../reconcile/deps.ts';
import { withLease } from '../../reconcile/lease.ts';
import type { Round, RoundOptions } from '../../reconcile/round.ts';
import { bringViewsUpToDate, settleDepsOf } from '../../service/session.ts';
import { printLine } from '../../terminal/output.ts';
import { wholeNumber } from '../arguments.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { exitCodeOfRound, printRound, runOverModels } from '../round.ts';

interface ReconcileFlags {
  readonly full?: boolean;
  readonly allowDeletes?: number;
}

/** Doubts that one call settles at most; the rest stays for the next one, or for `serve`. */
const MAX_SETTLED = 100_000;
/** Longer than a lease lives: a process that was killed is not waited for in vain. */
const LEASE_WAIT_MS = 60_000;

export const reconcileCommand = new Command('reconcile')
  .argument('[model...]', 'models to reconcile: module.model or module.*; all when there are none')
  .option('--full', 'compare every row, and find rows whose deletion was missed')
  .option(
    '--allow-deletes <count>',
    'let up to this many rows of a model be deleted although the guard objects',
    wholeNumber(),
  )
  .action((words: string[], flags: ReconcileFlags, command: Command) =>
    runOverModels(command, 'work', words, async (deps, options, session) => {
      const lease = { sql: deps.sql, name: flags.full ? 'sweep' : 'reconcile', waitMs: LEASE_WAIT_MS, ...options };
      const round = await withLease(lease, (signal) => runOne(deps, { ...options, signal }, flags));
      const settled = await settleDue(settleDepsOf(session, deps.client), MAX_SETTLED, options.signal);
      await bringViewsUpToDate(session);
      const print = () => {
        printRound(round);
        printLine(`Doubtful rows: ${settled.settled} settled, ${settled.open} still open.`);
      };
      return { data: { ...round, ...settled }, print, exitCode: exitCodeOf(round, settled.open) };
    }),
  );

function runOne(deps: ListingDeps, options: RoundOptions, { full, allowDeletes = 0 }: ReconcileFlags): Promise<Round> {
  if (full) return sweepAll(deps, { ...options, allowDeletes });
  return catchUpAll(deps, options);
}

function exitCodeOf(round: Round, open: number): ExitCode {
  const code = exitCodeOfRound(round);
  return code === EXIT.done && open > 0 ? EXIT.finding : code;
}
