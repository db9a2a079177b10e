/** `redact`: brings what was stored before under the privacy settings that hold now. */
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
import type { Session } from '../../service/session.ts';
import { modelsWithHistory } from '../../store/history-rewrite.ts';
import { markKept } from '../../store/privacy-mark.ts';
import { beginRun, finishRun } from '../../store/runs.ts';
import { uncataloguedModels } from '../../store/uncatalogued.ts';
import { EXIT } from '../exit-codes.ts';
import { formatCount, printJson, printLine } from '../output.ts';
import { runWithSession } from '../run.ts';

interface RedactReport {
  readonly rows: RedactCounts;
  readonly changes: RedactCounts;
  readonly deliveries: RedactCounts;
}

export function redactCommand(): Command {
  return new Command('redact')
    .description('apply the privacy settings to what was stored before they were made')
    .option('--json', 'print the result as JSON')
    .action(({ json }: { json?: boolean }) =>
      runWithSession({ name: 'redact', logTo: 'stderr', onMirror: 'work' }, async (session, { signal }) => {
        const report = await redactAll(session, signal);
        if (json) printJson(report);
        else {
          const { rows, changes, deliveries } = report;
          printLine(`${formatCount(rows.rewritten)} of ${formatCount(rows.read)} rows rewritten.`);
          printLine(
            `${formatCount(changes.rewritten)} of ${formatCount(changes.read)} changes of the history rewritten.`,
          );
          printLine(`${formatCount(deliveries.rewritten)} of ${formatCount(deliveries.read)} deliveries rewritten.`);
        }
        return EXIT.done;
      }),
    );
}

async function redactAll(session: Session, signal: AbortSignal): Promise<RedactReport> {
  const { sql, context, privacy, holder } = session;
  if (privacy === null) {
    throw new UsageError('nothing to do: neither FLOWLU_OMIT_FIELDS nor FLOWLU_HASH_FIELDS is set');
  }
  const deps: RedactDeps = { sql, context, privacy };
  const runId = await beginRun(sql, 'redact', holder);
  try {
    // Deliveries first: what a replay or a tie takes from them is then clean before the rows are.
    const deliveries = await redactDeliveries(deps, signal);
    const rows = { read: 0, rewritten: 0 };
    const changes = { read: 0, rewritten: 0 };
    const add = (sum: { read: number; rewritten: number }, counts: RedactCounts) => {
      sum.read += counts.read;
      sum.rewritten += counts.rewritten;
    };
    const tables = [
      ...models.map((model) => ({ name: model.name, model })),
      // Rows of a model that the catalogue has come to know stay in the common table until a rebuild moves them.
      ...(await uncataloguedModels(sql)).map((name) => ({ name, model: null })),
    ];
    for (const table of tables.filter(({ name }) => privacy.concerns(name))) {
      add(rows, await redactRows(deps, table, signal));
    }
    const past = (await modelsWithHistory(sql)).filter((name) => privacy.concerns(name));
    for (const name of past) add(changes, await redactHistory(deps, name, signal));
    await markKept(sql, privacy.fingerprint);
    const report = { rows, changes, deliveries };
    await finishRun(sql, runId, 'done', { rows, changes, deliveries: { ...deliveries } });
    return report;
  } catch (error) {
    await finishRun(sql, runId, signal.aborted ? 'interrupted' : 'failed', null).catch(() => {});
    throw error;
  }
}
