/** `reconcile`: catches up with what was missed; `--full` sweeps everything and finds missed deletes. */
import { Command, InvalidArgumentError } from 'commander';
import { settleDue } from '../../merge/settle.ts';
import { catchUpAll, sweepAll } from '../../reconcile/catch-up.ts';
import type { ListingDeps } from '../../reconcile/deps.ts';
import { withLease } from '../../reconcile/lease.ts';
import type { Round, RoundOptions } from '../../reconcile/round.ts';
import {
  bringViewsUpToDate,
  chooseModels,
  modelsAtATime,
  openClient,
  requireApi,
  settleDepsOf,
} from '../../service/session.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { printJson, printLine } from '../output.ts';
import { createProgress } from '../progress.ts';
import { exitCodeOfRound, keepHeapSmall, observe, printRound } from '../round.ts';
import { runWithSession } from '../run.ts';

interface Flags {
  readonly full?: boolean;
  readonly allowDeletes?: number;
  readonly json?: boolean;
}

/** Doubts that one call settles at most; the rest stays for the next one, or for `serve`. */
const MAX_SETTLED = 100_000;
/** Longer than a lease lives: a process that was killed is not waited for in vain. */
const LEASE_WAIT_MS = 60_000;

export function reconcileCommand(): Command {
  return new Command('reconcile')
    .description('catch up with what was missed; --full reads everything and finds missed deletes')
    .argument('[model...]', 'models to reconcile: module.model or module.*; all when there are none')
    .option('--full', 'sweep every row, and find rows that were deleted without notice')
    .option('--allow-deletes <count>', 'let so many rows of a model vanish although the guard objects', parseCount)
    .option('--json', 'print the summary as JSON')
    .action((words: string[], flags: Flags) =>
      runWithSession(
        { name: 'reconcile', logTo: 'stderr', onMirror: 'work', check: requireApi },
        async (session, { signal }) => {
          const models = chooseModels(session, words);
          const client = await openClient(session);
          const deps: ListingDeps = { sql: session.sql, client, writer: session.context };
          keepHeapSmall();
          const progress = createProgress({ stream: process.stderr, models: models.length });
          const name = flags.full ? 'sweep' : 'reconcile';
          try {
            const { sql, holder } = session;
            const lease = { sql, name, holder, signal, waitMs: LEASE_WAIT_MS };
            const round = await withLease(lease, (leased) => {
              const options = {
                models,
                concurrency: modelsAtATime(session.config),
                holder,
                observer: observe(progress),
                signal: leased,
              };
              return runOne(deps, options, flags);
            });
            const settled = await settleDue(settleDepsOf(session, client), MAX_SETTLED, signal);
            await bringViewsUpToDate(session);
            progress.close();
            if (flags.json) printJson({ ...round, ...settled });
            else {
              printRound(round);
              printLine(`Doubtful rows: ${settled.settled} settled, ${settled.open} still open.`);
            }
            return exitCodeOf(round, settled.open);
          } finally {
            progress.close();
          }
        },
      ),
    );
}

function runOne(deps: ListingDeps, options: RoundOptions, { full, allowDeletes = 0 }: Flags): Promise<Round> {
  if (full) return sweepAll(deps, { ...options, allowDeletes });
  return catchUpAll(deps, { ...options, rereadShare: 1, retryRefusedAfter_s: 0 });
}

function exitCodeOf(round: Round, open: number): ExitCode {
  const code = exitCodeOfRound(round);
  return code === EXIT.done && open > 0 ? EXIT.finding : code;
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number is needed.');
  return Number(text);
}
