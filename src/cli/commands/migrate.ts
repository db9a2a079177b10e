import { Command } from 'commander';
import { maintainHistory } from '../../migrate/history-partitions.ts';
import { migrate } from '../../migrate/migrate.ts';
import type { PublicationReport } from '../../migrate/publication.ts';
import { connect } from '../../postgres/connection.ts';
import { openDatabase } from '../../service/database.ts';
import { configuredSettings, settingsInForce } from '../../service/settings-in-force.ts';
import { span } from '../../status/words.ts';
import { printLine } from '../../terminal/output.ts';
import { EXIT } from '../exit-codes.ts';
import { runCommand } from '../run.ts';

export const migrateCommand = new Command('migrate')
  .option('--publication', 'create a publication, so that other servers can follow by logical replication')
  .action(({ publication = false }: { publication?: boolean }, command: Command) =>
    runCommand(command, async ({ config, log, signal }) => {
      const { migrateUrl, url, dataDir } = config.database;
      const database = await openDatabase({ url: migrateUrl ?? url, dataDir }, { log, signal });
      const sql = connect(database.url, { applicationName: 'flowlu-mirror migrate', max: 1 });
      try {
        const report = await migrate(sql, { zone: config.flowlu.timezone, publication });
        // `serve` cannot make the months where it works as another role.
        await maintainHistory(sql, config.history.retentionMs);
        await settingsInForce(sql, configuredSettings(config), log);
        const isPublished = report.publication === null || report.publication.wal_level === 'logical';
        const isDone = report.adminSql === null && report.keptViews.length === 0 && isPublished;
        return { data: report, print: () => printReport(report), exitCode: isDone ? EXIT.done : EXIT.finding };
      } finally {
        await sql.end({ timeout: 5 });
        await database.close();
      }
    }),
  );

function printReport(report: Awaited<ReturnType<typeof migrate>>): void {
  const applied = report.applied.length === 0 ? 'no migration was due' : `applied ${report.applied.join(', ')}`;
  const took = span(report.duration_ms / 1_000);
  printLine(`The schema is current: ${applied}; views, comments and roles are in place (${took}).`);
  for (const { view, columns, reason } of report.keptViews)
    printLine(
      `View ${view} ${columns[0] ? `keeps columns that should go or change (${columns.join(', ')}): ` : ''}${reason}.`,
    );
  if (report.adminSql !== null)
    printLine(`This role may not do everything. An administrator must run:\n\n${report.adminSql}\n`);
  if (report.publication !== null) printPublication(report.publication);
}

function printPublication({ name, added, wal_level }: PublicationReport): void {
  if (added.length > 0) printLine(`The publication ${name} gained ${added.length} tables; refresh the subscriptions.`);
  if (wal_level === 'logical') return;
  printLine(
    `Nobody can follow the publication ${name} yet: wal_level is ${wal_level}. As the owner of the server, run\n\n` +
      "alter system set wal_level = 'logical';\n\nand restart it.\n",
  );
}
