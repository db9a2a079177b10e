/** `migrate`: brings the database to this version's schema, views and roles. */
import { Command } from 'commander';
import { migrate } from '../../db/migrate.ts';
import { openDatabase } from '../../db/open.ts';
import { EXIT } from '../exit-codes.ts';
import { formatDuration, printJson, printLine } from '../output.ts';
import { runCommand } from '../run.ts';

export function migrateCommand(): Command {
  return new Command('migrate')
    .description("bring the database to this version's schema, views and roles")
    .option('--json', 'print the result as JSON')
    .action(({ json }: { json?: boolean }) =>
      runCommand({ name: 'migrate', logTo: 'stderr' }, async ({ config, log, signal }) => {
        const database = await openDatabase({
          url: config.database.url ?? undefined,
          embeddedDirectory: config.database.dataDir,
          log,
          signal,
        });
        try {
          const report = await migrate(database.url, { zone: config.flowlu.timezone });
          if (json) printJson(report);
          else printReport(report);
          return report.adminSql === null && report.keptViews.length === 0 ? EXIT.done : EXIT.finding;
        } finally {
          await database.close();
        }
      }),
    );
}

function printReport(report: Awaited<ReturnType<typeof migrate>>): void {
  const applied = report.applied.length === 0 ? 'no migration was due' : `applied ${report.applied.join(', ')}`;
  printLine(
    `The schema is current: ${applied}; views, comments and roles are in place (${formatDuration(report.duration_ms)}).`,
  );
  for (const { view, columns, reason } of report.keptViews)
    printLine(`View ${view} keeps columns that should go or change (${columns.join(', ')}): ${reason}.`);
  if (report.adminSql !== null)
    printLine(`This role may not do everything. An administrator must run:\n\n${report.adminSql}\n`);
}
