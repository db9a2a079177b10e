import { Command, InvalidArgumentError } from 'commander';
import ms from 'ms';
import { UsageError } from '../../core/errors.ts';
import { MICROS_PER_MS, type Micros } from '../../core/time.ts';
import { type ReplayOutcome, type ReplayReport, replay } from '../../maintain/replay.ts';
import type { Session } from '../../service/session.ts';
import { count } from '../../status/words.ts';
import type { DeliveryFilter } from '../../store/deliveries/replay.ts';
import { printLine, printTable } from '../../terminal/output.ts';
import { createProgress } from '../../terminal/progress.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type CommandContext, type Result, runWithSession } from '../run.ts';

interface ReplayFlags {
  readonly failed?: boolean;
  readonly id?: readonly string[];
  readonly since?: Micros;
}

/** What outcomes mean, in the order of the report. */
const MEANINGS: Readonly<Record<ReplayOutcome, string>> = {
  inserted: 'the row was missing and is there now',
  updated: 'the row was older and is current now',
  tombstoned: 'the row is held for deleted now',
  revived: 'the row was held for deleted and is live again',
  already_applied: 'the row holds its effect, or something later',
  unchanged: 'the row says the same',
  duplicate: 'the row says the same',
  stale: 'the row is newer',
  kept: 'the row stays; only the API can tell',
  ignored: 'no effect',
  erased: 'the record was erased on request: not applied, and its values taken out of the delivery',
  applied: 'applied',
  pending: 'waits to be applied',
  skipped: 'the settings leave the model out, or too many hints wait',
  rejected: 'no webhook of Flowlu',
  failed: 'could not be applied; `status` says why',
};

export const replayCommand = new Command('replay')
  .option('--failed', 'those that were not applied: failed, rejected or still pending')
  .option('--id <id>', 'one delivery; may be given several times', collectId)
  .option(
    '--since <time>',
    'those that arrived since: an ISO date-time (UTC unless it says otherwise) or 2h',
    parseSince,
  )
  .action((flags: ReplayFlags, command: Command) =>
    runWithSession(command, 'work', (session, context) => replayChosen(session, context, flags), {
      check: () => requireChoice(flags),
    }),
  );

async function replayChosen(
  session: Session,
  { signal, isQuiet }: CommandContext,
  flags: ReplayFlags,
): Promise<Result> {
  const { sql, context, log, holder } = session;
  const progress = createProgress({ stream: process.stderr, models: 1, isQuiet });
  let known = 0;
  try {
    const report = await replay(
      { sql, context, log, holder },
      filterOf(flags),
      (taken, total) => {
        if (known === 0) progress.modelStarted('deliveries', total);
        progress.modelAdvanced('deliveries', { read: taken - known, written: 0, unchanged: 0, requests: 0 });
        known = taken;
      },
      signal,
    );
    if (known > 0) progress.modelFinished('deliveries', 'done');
    return { data: report, print: () => printReport(report, flags), exitCode: exitCodeOf(report, flags) };
  } finally {
    progress.close();
  }
}

function requireChoice({ failed, id, since }: ReplayFlags): void {
  if (failed || id !== undefined || since !== undefined) return;
  throw new UsageError(
    'say which deliveries: --failed, --id <id> or --since <time> (for all of them: --since 1970-01-01)',
  );
}

function filterOf({ failed, id, since }: ReplayFlags): DeliveryFilter {
  return {
    ...(failed && { failed }),
    ...(id !== undefined && { ids: id }),
    ...(since !== undefined && { since }),
  };
}

function collectId(text: string, before: readonly string[] = []): readonly string[] {
  if (!/^\d{1,18}$/.test(text)) throw new InvalidArgumentError("a delivery's id is a whole number.");
  return [...before, text];
}

/** A moment, or a length of time before now. */
function parseSince(text: string): Micros {
  const span = /^\d+(\.\d+)?\s*[a-z]+$/i.test(text) ? ms(text as ms.StringValue) : undefined;
  if (span !== undefined && Number.isFinite(span)) return (Date.now() - span) * MICROS_PER_MS;
  const iso = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/i.exec(text);
  const at =
    iso === null ? Number.NaN : Date.parse(`${text.replace(' ', 'T')}${iso[1] || text.length === 10 ? '' : 'Z'}`);
  if (!Number.isFinite(at))
    throw new InvalidArgumentError('give a date-time such as 2026-03-01T12:00:00Z, or a time span such as 2h.');
  return at * MICROS_PER_MS;
}

function printReport({ deliveries, outcomes, doubtful }: ReplayReport, { failed, id, since }: ReplayFlags): void {
  if (deliveries === 0) {
    const isPlain = failed && id === undefined && since === undefined;
    printLine(isPlain ? 'No delivery has failed: there is nothing to replay.' : 'There is no such delivery.');
    return;
  }
  const rows = Object.entries(MEANINGS).flatMap(([outcome, meaning]) => {
    const number = outcomes[outcome as ReplayOutcome] ?? 0;
    return number === 0 ? [] : [{ outcome: outcome.replaceAll('_', ' '), deliveries: number, meaning }];
  });
  printTable(rows, ['outcome', 'deliveries', 'meaning']);
  const doubt = doubtful === 0 ? '' : ` ${count(doubtful)} of them left a doubtful row, which the API will settle.`;
  printLine(`${count(deliveries, 'delivery', 'deliveries')} replayed.${doubt}`);
}

function exitCodeOf({ deliveries, outcomes }: ReplayReport, { id }: ReplayFlags): ExitCode {
  const unhappy = (outcomes.failed ?? 0) + (outcomes.rejected ?? 0);
  return unhappy > 0 || (id !== undefined && deliveries === 0) ? EXIT.finding : EXIT.done;
}
