/** How work over many models shows on the command line: while it runs, at its end, and as an exit code. */

import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { splitName } from '../catalog/name.ts';
import { groupBy } from '../core/group.ts';
import type { ListingDeps } from '../reconcile/deps.ts';
import type { ListingObserver, ListingReport } from '../reconcile/listing.ts';
import type { Round, RoundOptions, RoundReport } from '../reconcile/round.ts';
import {
  chooseModels,
  modelsAtATime,
  type OnMirror,
  openClient,
  requireApi,
  type Session,
} from '../service/session.ts';
import { absentWords, count, span } from '../status/words.ts';
import { ABSENT } from '../store/listings.ts';
import { printLine, printTable } from '../terminal/output.ts';
import { createProgress, type Progress } from '../terminal/progress.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { type Result, runWithSession } from './run.ts';

/**
 * Lets the heap grow by three quarters of what is in use between two collections, where V8 would more than double it:
 * pages under way are garbage soon. Saves 50 of 230 MB for some 5 % of the processor time of a backfill. Not for `serve`,
 * whose deliveries live a little longer: there it would cost a fifth.
 */
function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=75');
}

function observe(progress: Progress): ListingObserver {
  const outcomes = { complete: 'done', incomplete: 'failed', skipped: 'skipped', failed: 'failed' } as const;
  return {
    modelStarted: (model, total) => progress.modelStarted(model, total),
    modelAdvanced: (model, step) => progress.modelAdvanced(model, step),
    modelFinished: ({ model, outcome, reason }) =>
      progress.modelFinished(model, outcomes[outcome], reason ?? undefined),
  };
}

type Group = readonly [name: string, reports: readonly ListingReport[]];

/** More models than this are summed by module. */
const LISTED_MAX = 12;

/** Prints what a round did, the largest first, and what did not go as it should. */
export function printRound({ models }: Round): void {
  const read = models.filter(({ outcome, way }) => outcome !== 'skipped' && way !== 'none');
  const isLong = read.length > LISTED_MAX;
  const groups = groupBy(read, ({ model }) => (isLong ? splitName(model).module : model));
  const sum = (reports: readonly ListingReport[], field: keyof ListingReport['counts']) =>
    reports.reduce((total, { counts }) => total + counts[field], 0);
  const field = (name: keyof ListingReport['counts']) => [name, ([, own]: Group) => sum(own, name)] as const;
  printTable(
    [...groups].toSorted(([, a], [, b]) => sum(b, 'read') - sum(a, 'read')),
    [
      [isLong ? 'module' : 'model', ([name]) => name],
      isLong ? ['models', ([, own]) => own.length] : ['way', ([, [one]]) => one?.way],
      field('read'),
      field('written'),
      field('unchanged'),
      field('requests'),
      // Models are read side by side, so the times of a module add up to nothing.
      ...(isLong ? [] : [['took', ([, [one]]: Group) => span(one?.seconds ?? 0)] as const]),
    ],
  );
  printLine(
    `${count(read.length, 'model')}: ${count(sum(models, 'read'), 'row')} read, ${count(sum(models, 'written'))} written, ` +
      `${count(sum(models, 'unchanged'))} unchanged, in ${count(sum(models, 'requests'), 'request')}.`,
  );
  const already = models.filter(({ outcome, way }) => outcome === 'complete' && way === 'none').length;
  if (already > 0)
    printLine(`${count(already, 'model')} had been read before, and ${already === 1 ? 'was' : 'were'} not read again.`);
  for (const { model, outcome, reason, unreadable = [], guarded = null } of withoutAbsent(models)) {
    const lacksRows = outcome === 'complete' && unreadable.length > 0;
    if (reason !== null) printLine(`${model}: ${outcome}${lacksRows ? ' but for some rows' : ''}, ${reason}`);
    if (guarded !== null) printLine(`${model}: guarded, ${guarded}`);
  }
}

/** Prints how many models the portal lacks, and returns the others, which are worth a line each. */
export function withoutAbsent<R extends Pick<RoundReport, 'outcome' | 'reason' | 'guarded'>>(reports: readonly R[]) {
  const others = reports.filter(
    ({ outcome, reason, guarded = null }) => outcome !== 'skipped' || guarded !== null || !reason?.startsWith(ABSENT),
  );
  const absent = reports.length - others.length;
  if (absent > 0) printLine(`${absentWords(absent)}; flowlu-mirror models shows which.`);
  return others;
}

export function exitCodeOfRound({ status }: Round): ExitCode {
  return status === 'failed' ? EXIT.failed : status === 'differences' ? EXIT.finding : EXIT.done;
}

/** Runs a command that reads, through the API, the models that its words choose; shows how it goes on. */
export function runOverModels(
  command: Command,
  onMirror: OnMirror,
  words: readonly string[],
  work: (deps: ListingDeps, round: RoundOptions, session: Session) => Promise<Result>,
): Promise<void> {
  return runWithSession(
    command,
    onMirror,
    async (session, { signal, isQuiet }) => {
      const { sql, context, holder, config } = session;
      const models = chooseModels(session, words);
      const client = await openClient(session);
      keepHeapSmall();
      const progress = createProgress({ stream: process.stderr, models: models.length, isQuiet });
      try {
        const round = { models, concurrency: modelsAtATime(config), holder, observer: observe(progress), signal };
        return await work({ sql, client, writer: context }, round, session);
      } finally {
        progress.close();
      }
    },
    { check: requireApi },
  );
}
