/** How work over many models shows on the command line: while it runs, at its end, and as an exit code. */

import { setFlagsFromString } from 'node:v8';
import type { ListingDeps } from '../reconcile/deps.ts';
import type { ListingObserver, ListingReport } from '../reconcile/listing.ts';
import type { Round, RoundOptions } from '../reconcile/round.ts';
import {
  chooseModels,
  modelsAtATime,
  type OnMirror,
  openClient,
  requireApi,
  type Session,
} from '../service/session.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { formatCount, printJson, printLine, printTable } from './output.ts';
import { createProgress, type Progress } from './progress.ts';
import { runWithSession } from './run.ts';

/**
 * Lets the heap grow by three quarters of what is in use between two collections, where V8 would more than double it:
 * pages under way are garbage soon. Saves 50 of 230 MB for some 5 % of the processor time of a backfill. Not for `serve`,
 * whose deliveries live a little longer: there it would cost a fifth.
 */
function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=75');
}

/** Shows a listing's course on a progress display. */
function observe(progress: Progress): ListingObserver {
  const outcomes = { complete: 'done', incomplete: 'failed', skipped: 'skipped', failed: 'failed' } as const;
  return {
    modelStarted: (model, total) => progress.modelStarted(model, total),
    modelAdvanced: (model, step) => progress.modelAdvanced(model, step),
    modelFinished: ({ model, outcome, reason }) =>
      progress.modelFinished(model, outcomes[outcome], reason ?? undefined),
  };
}

/** Prints what a round did, the largest models first, and what did not go as it should. */
export function printRound({ models }: Round): void {
  const read = models.filter(({ outcome, way }) => outcome !== 'skipped' && way !== 'none');
  printTable(
    read.toSorted((a, b) => b.counts.read - a.counts.read),
    [
      { header: 'model', value: (row) => row.model },
      { header: 'way', value: (row) => row.way },
      { header: 'outcome', value: (row) => row.outcome },
      { header: 'read', value: (row) => row.counts.read },
      { header: 'written', value: (row) => row.counts.written },
      { header: 'unchanged', value: (row) => row.counts.unchanged },
      { header: 'requests', value: (row) => row.counts.requests },
      { header: 'seconds', value: (row) => row.seconds.toFixed(1) },
    ],
  );
  const sum = (pick: (counts: ListingReport['counts']) => number) =>
    formatCount(models.reduce((total, row) => total + pick(row.counts), 0));
  printLine(
    `${read.length} models: ${sum((c) => c.read)} rows read, ${sum((c) => c.written)} written, ` +
      `${sum((c) => c.unchanged)} unchanged, in ${sum((c) => c.requests)} requests.`,
  );
  for (const { model, outcome, reason, guarded = null } of models) {
    if (reason !== null) printLine(`${model}: ${outcome}, ${reason}`);
    if (guarded !== null) printLine(`${model}: guarded, ${guarded}`);
  }
}

/** The exit code that a round deserves. */
export function exitCodeOfRound({ status }: Round): ExitCode {
  return status === 'failed' ? EXIT.failed : status === 'differences' ? EXIT.finding : EXIT.done;
}

/** What a command over models has to say at its end. */
interface Outcome {
  readonly report: unknown;
  /** Prints it for people. */
  readonly print: () => void;
  readonly exitCode: ExitCode;
}

/** Runs a command that reads, through the API, the models that its words choose; shows how it goes on. */
export function runOverModels(
  options: { readonly name: string; readonly onMirror: OnMirror; readonly json?: boolean | undefined },
  words: readonly string[],
  work: (deps: ListingDeps, round: RoundOptions, session: Session) => Promise<Outcome>,
): Promise<void> {
  const { json, ...command } = options;
  return runWithSession({ ...command, logTo: 'stderr', check: requireApi }, async (session, { signal }) => {
    const { sql, context, holder, config } = session;
    const models = chooseModels(session, words);
    const client = await openClient(session);
    keepHeapSmall();
    const progress = createProgress({ stream: process.stderr, models: models.length });
    try {
      const round = { models, concurrency: modelsAtATime(config), holder, observer: observe(progress), signal };
      const { report, print, exitCode } = await work({ sql, client, writer: context }, round, session);
      progress.close();
      if (json) printJson(report);
      else print();
      return exitCode;
    } finally {
      progress.close();
    }
  });
}
