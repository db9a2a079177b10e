import { Command } from 'commander';
import { type RebuildReport, rebuild } from '../../maintain/rebuild-all.ts';
import { bringViewsUpToDate, chooseModels } from '../../service/session.ts';
import { count } from '../../status/words.ts';
import { printLine, printTable } from '../../terminal/output.ts';
import { createProgress } from '../../terminal/progress.ts';
import { runWithSession } from '../run.ts';

export const rebuildCommand = new Command('rebuild')
  .argument('[model...]', 'models to rebuild: module.model or module.*; all when there are none')
  .action((words: string[], _: unknown, command: Command) =>
    runWithSession(command, words.length === 0 ? 'rederive' : 'define', async (session, { signal, isQuiet }) => {
      const { sql, context, holder } = session;
      const models = chooseModels(session, words);
      const progress = createProgress({ stream: process.stderr, models: models.length, isQuiet });
      try {
        const report = await rebuild(
          { sql, context, holder },
          { models, includeUnknown: words.length === 0, observer: progress, signal },
        );
        await bringViewsUpToDate(session);
        return { data: report, print: () => printReport(report) };
      } finally {
        progress.close();
      }
    }),
  );

function printReport({ models }: RebuildReport): void {
  const filled = models.filter(({ rows }) => rows > 0);
  printTable(filled, ['model', 'rows', 'rewritten', ['moved in', (row) => row.moved]]);
  const sum = (pick: (row: RebuildReport['models'][number]) => number) =>
    count(models.reduce((total, row) => total + pick(row), 0));
  printLine(
    `${sum((row) => row.rows)} rows read, ${sum((row) => row.rewritten)} rewritten, ${sum((row) => row.moved)} moved into tables of their own.`,
  );
}
