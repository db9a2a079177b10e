import { Command } from 'commander';
import { models } from '../../catalog/index.ts';
import { UsageError } from '../../core/errors.ts';
import {
  type RedactCounts,
  type RedactDeps,
  redactDeliveries,
  redactHistory,
  redactRows,
} from '../../maintain/redact.ts';
import { uncataloguedModels } from '../../mirror-rows/reads.ts';
import type { Session } from '../../service/session.ts';
import { count } from '../../status/words.ts';
import { modelsWithHistory } from '../../store/history.ts';
import { markKept } from '../../store/privacy-mark.ts';
import { journaled } from '../../store/runs.ts';
import { printLine } from '../../terminal/output.ts';
import { confirm } from '../../terminal/prompt.ts';
import { EXIT } from '../exit-codes.ts';
import { runWithSession } from '../run.ts';

interface RedactReport {
  readonly rows: RedactCounts;
  readonly changes: RedactCounts;
  readonly deliveries: RedactCounts;
}

export const redactCommand = new Command('redact')
  .option('--yes', 'do not ask before values are taken out')
  .action(({ yes = false }: { yes?: boolean }, command: Command) =>
    runWithSession(command, 'work', async (session, { signal }) => {
      if (!(yes || (await confirm('Take the protected values out of everything that is stored?', signal))))
        return EXIT.finding;
      const report = await redactAll(session, signal);
      return { data: report, print: () => printReport(report) };
    }),
  );

function printReport({ rows, changes, deliveries }: RedactReport): void {
  const parts = { rows, 'changes of the history': changes, deliveries };
  for (const [what, { read, rewritten }] of Object.entries(parts)) {
    printLine(`${count(rewritten)} of ${count(read)} ${what} rewritten.`);
  }
}

async function redactAll(session: Session, signal: AbortSignal): Promise<RedactReport> {
  const { sql, context, privacy, holder } = session;
  if (privacy === null) {
    throw new UsageError('nothing to do: neither FLOWLU_OMIT_FIELDS nor FLOWLU_HASH_FIELDS is set');
  }
  const deps: RedactDeps = { sql, context, privacy };
  const report = { rows: NONE, changes: NONE, deliveries: NONE };
  const summary = () => ({ ...report });
  return journaled(sql, { kind: 'redact', holder, signal, summary }, async () => {
    // Deliveries first: what a replay or a tie takes from them is then clean before the rows are.
    report.deliveries = await redactDeliveries(deps, signal);
    const tables = [
      ...models.map((model) => ({ name: model.name, model })),
      // Rows of a model that the catalogue has come to know stay in the common table until a rebuild moves them.
      ...(await uncataloguedModels(sql)).map((name) => ({ name, model: null })),
    ];
    for (const table of tables) {
      report.rows = sumOf(report.rows, await redactRows(deps, table, signal));
    }
    for (const name of await modelsWithHistory(sql)) {
      report.changes = sumOf(report.changes, await redactHistory(deps, name, signal));
    }
    await markKept(sql, privacy.fingerprint);
    return report;
  });
}

const NONE: RedactCounts = { read: 0, rewritten: 0 };

function sumOf(a: RedactCounts, b: RedactCounts): RedactCounts {
  return { read: a.read + b.read, rewritten: a.rewritten + b.rewritten };
}
