/** `backfill`: reads everything through the API into the mirror. */
import { Command } from 'commander';
import { type BackfillReport, backfill } from '../../reconcile/backfill.ts';
import type { ListingObserver, ListingReport } from '../../reconcile/listing.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { printJson, printLine, printTable } from '../output.ts';
import { createProgress, type Progress } from '../progress.ts';
import { runWithSession } from '../run.ts';
import { chooseModels, openClient } from '../session.ts';

/** Enough to keep a fast portal busy while its answers are on the way; one key and one table each. */
const CONCURRENCY = 4;

export function backfillCommand(): Command {
  return new Command('backfill')
    .description('read everything through the API into the mirror; resumes where it was cut off')
    .argument('[model...]', 'models to read: module.model or module.*; all when there are none')
    .option('--json', 'print the summary as JSON')
    .action((words: string[], { json }: { json?: boolean }) =>
      runWithSession({ name: 'backfill', logTo: 'stderr' }, async (session, { signal }) => {
        const models = chooseModels(session, words);
        const client = await openClient(session);
        const progress = createProgress({ stream: process.stderr, models: models.length });
        try {
          const report = await backfill(
            { sql: session.sql, client, door: session.context },
            { models, concurrency: CONCURRENCY, holder: session.holder, observer: observe(progress), signal },
          );
          progress.close();
          if (json) printJson(report);
          else printSummary(report);
          return exitCodeOf(report);
        } finally {
          progress.close();
        }
      }),
    );
}

/** Shows a listing's course on a progress display. */
export function observe(progress: Progress): ListingObserver {
  const outcomes = { complete: 'done', incomplete: 'failed', skipped: 'skipped', failed: 'failed' } as const;
  return {
    modelStarted: (model, total) => progress.modelStarted(model, total),
    modelAdvanced: (model, step) => progress.modelAdvanced(model, step),
    modelFinished: ({ model, outcome, reason }) =>
      progress.modelFinished(model, outcomes[outcome], reason ?? undefined),
  };
}

function printSummary({ models }: BackfillReport): void {
  const read = models.filter(({ outcome }) => outcome !== 'skipped').sort((a, b) => b.counts.read - a.counts.read);
  printTable(read, [
    { header: 'model', value: (row) => row.model },
    { header: 'outcome', value: (row) => row.outcome },
    { header: 'read', value: (row) => row.counts.read },
    { header: 'written', value: (row) => row.counts.written },
    { header: 'unchanged', value: (row) => row.counts.unchanged },
    { header: 'requests', value: (row) => row.counts.requests },
    { header: 'seconds', value: (row) => row.seconds.toFixed(1) },
  ]);
  const sum = (pick: (row: ListingReport) => number) => models.reduce((total, row) => total + pick(row), 0);
  printLine(
    `${read.length} models: ${sum((row) => row.counts.read)} rows read, ${sum((row) => row.counts.written)} written, ` +
      `${sum((row) => row.counts.unchanged)} unchanged, in ${sum((row) => row.counts.requests)} requests.`,
  );
  for (const { model, outcome, reason } of models) {
    if (reason !== null) printLine(`${model}: ${outcome}, ${reason}`);
  }
}

function exitCodeOf({ status }: BackfillReport): ExitCode {
  return status === 'failed' ? EXIT.failed : status === 'differences' ? EXIT.finding : EXIT.done;
}
