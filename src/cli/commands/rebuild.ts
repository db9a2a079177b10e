/** `rebuild`: re-derives the typed columns from `_record`, without the API. */
import { Command } from 'commander';
import { type RebuildReport, rebuild } from '../../maintain/rebuild-all.ts';
import { bringViewsUpToDate, chooseModels } from '../../service/session.ts';
import { EXIT } from '../exit-codes.ts';
import { formatCount, printJson, printLine, printTable } from '../output.ts';
import { createProgress } from '../progress.ts';
import { runWithSession } from '../run.ts';

export function rebuildCommand(): Command {
  return new Command('rebuild')
    .description('re-derive the typed columns from the stored records, after a new version or another time zone')
    .argument('[model...]', 'models to rebuild: module.model or module.*; all when there are none')
    .option('--json', 'print the result as JSON')
    .action((words: string[], { json }: { json?: boolean }) =>
      runWithSession({ name: 'rebuild', logTo: 'stderr', onMirror: 'define' }, async (session, { signal }) => {
        const { sql, context, holder } = session;
        const models = chooseModels(session, words);
        const progress = createProgress({ stream: process.stderr, models: models.length });
        try {
          const report = await rebuild(
            { sql, context, holder },
            { models, includeUnknown: words.length === 0, observer: progress, signal },
          );
          await bringViewsUpToDate(session);
          progress.close();
          if (json) printJson(report);
          else printReport(report);
          return EXIT.done;
        } finally {
          progress.close();
        }
      }),
    );
}

function printReport({ models }: RebuildReport): void {
  const filled = models.filter(({ rows }) => rows > 0);
  printTable(filled, [
    { header: 'model', value: (row) => row.model },
    { header: 'rows', value: (row) => row.rows },
    { header: 'rewritten', value: (row) => row.rewritten },
    { header: 'moved in', value: (row) => row.moved },
  ]);
  const sum = (pick: (row: RebuildReport['models'][number]) => number) =>
    formatCount(models.reduce((total, row) => total + pick(row), 0));
  printLine(
    `${sum((row) => row.rows)} rows read, ${sum((row) => row.rewritten)} rewritten, ${sum((row) => row.moved)} moved into tables of their own.`,
  );
}
