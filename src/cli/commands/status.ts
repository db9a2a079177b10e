/** `status`: what is found, freshness, backlog, failed deliveries, last runs. */
import { Command } from 'commander';
import { createSecretUse } from '../../intake/secret-use.ts';
import { reportSource } from '../../service/app.ts';
import { needsPerson } from '../../status/findings.ts';
import { readReport, type StatusReport } from '../../status/report.ts';
import { ageOf, count, foreignWords, grantWords, groupBy, portalWords, span } from '../../status/words.ts';
import { EXIT } from '../exit-codes.ts';
import { printFindings } from '../findings.ts';
import { printJson, printLine, printTable } from '../output.ts';
import { runWithSession } from '../run.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description(
      'show what needs a look, freshness, backlog and the last runs; exit 3 when a person has to do something',
    )
    .option('--all', 'list every model instead of one line for each module')
    .option('--json', 'print everything as JSON')
    .action(({ json, all = false }: { json?: boolean; all?: boolean }) =>
      runWithSession({ name: 'status', logTo: 'stderr', onMirror: 'look' }, async (session) => {
        const secretUse = createSecretUse(session.config.webhook.secrets);
        const report = await readReport(reportSource(session, () => secretUse.read(session.sql)));
        if (report === null) throw new Error('the database does not answer; check DATABASE_URL and the server');
        if (json) printJson({ ...report, needs_person: needsPerson(report) });
        else printStatus(report, all);
        return needsPerson(report) ? EXIT.finding : EXIT.done;
      }),
    );
}

function printStatus(report: StatusReport, all: boolean): void {
  const {
    deliveries,
    doubtful_rows,
    oauth,
    portal_facts,
    webhooks,
    foreign_names,
    models,
    runs,
    webhook_secrets,
    generated_at: now,
  } = report;
  const age = (at: string | null) => (at === null ? 'never' : ageOf(at, now));
  printLine(`${report.portal ?? 'no portal yet'} → ${report.database}`);
  printFindings(report, now);
  printLine();
  printLine(
    `Webhooks   last ${age(deliveries.last_received_at)}; ${count(deliveries.total)} kept, ${count(deliveries.pending)} waiting, ` +
      `${count(deliveries.failed)} failed, ${count(deliveries.rejected)} turned away`,
  );
  for (const { position, last_used_at } of webhook_secrets) {
    printLine(`Secret ${position}   last used ${age(last_used_at)}`);
  }
  if (doubtful_rows > 0) printLine(`Doubtful   ${count(doubtful_rows, 'row')}`);
  if (oauth !== null) printLine(`Login      ${grantWords(oauth)}`);
  if (portal_facts.length > 0) printLine(`Portal     ${portalWords(portal_facts)}`);
  for (const { model, told, share } of webhooks) {
    if (share !== null && share < 1) printLine(`Webhooks for ${model}: ${told}`);
  }
  for (const { name, rows, suggestions } of foreign_names) {
    printLine(`Webhooks speak of ${name} (${count(rows, 'row')}); ${foreignWords(suggestions)}`);
  }
  printLine();
  printModels(report, all);
  printFailures(report);
  if (runs.length === 0) return;
  printLine('\nLast runs');
  printTable(runs.slice(0, 5), [
    { header: 'run', value: (row) => row.kind },
    { header: 'outcome', value: (row) => row.status },
    { header: 'began', value: (row) => age(row.started_at) },
    {
      header: 'took',
      value: (row) => row.finished_at && span((Date.parse(row.finished_at) - Date.parse(row.started_at)) / 1_000),
    },
    { header: 'requests', value: (row) => row.requests },
    { header: 'written', value: (row) => row.rows_written },
  ]);
  const empty = models.filter(({ rows, deleted_rows }) => rows + deleted_rows === 0).length;
  if (!all && empty > 0) printLine(`${count(empty, 'model')} empty; --all lists the others one by one`);
}

function printModels({ models, generated_at: now }: StatusReport, all: boolean): void {
  const filled = models.filter(({ rows, deleted_rows }) => rows + deleted_rows > 0).toSorted((a, b) => b.rows - a.rows);
  const groups = groupBy(filled, ({ model }) => (all ? model : `${model.split('.', 1)[0]}`));
  const rows = [...groups].map(([name, group]) => {
    const sum = (pick: (model: StatusReport['models'][number]) => number) =>
      group.reduce((total, one) => total + pick(one), 0);
    const newest =
      group
        .flatMap(({ last_change_at }) => last_change_at ?? [])
        .toSorted()
        .at(-1) ?? null;
    const oldest = group.flatMap(({ last_reconciled_at }) => last_reconciled_at ?? []).toSorted()[0] ?? null;
    return {
      name,
      models: group.length,
      rows: sum((m) => m.rows),
      deleted: sum((m) => m.deleted_rows),
      doubtful: sum((m) => m.doubtful_rows),
      newest,
      oldest,
    };
  });
  printTable(
    rows.toSorted((a, b) => b.rows - a.rows),
    [
      { header: all ? 'model' : 'module', value: (row) => row.name },
      ...(all ? [] : [{ header: 'models', value: (row: (typeof rows)[number]) => row.models }]),
      { header: 'rows', value: (row) => row.rows },
      { header: 'deleted', value: (row) => row.deleted },
      { header: 'doubtful', value: (row) => row.doubtful },
      { header: 'last change', value: (row) => row.newest && ageOf(row.newest, now) },
      { header: 'compared', value: (row) => row.oldest && ageOf(row.oldest, now) },
    ],
  );
}

function printFailures({ failed_deliveries, generated_at: now }: StatusReport): void {
  if (failed_deliveries.length === 0) return;
  printLine('\nWebhooks without effect');
  for (const { id, received_at, status, model, reason } of failed_deliveries) {
    printLine(
      `  ${id} ${status} ${ageOf(received_at, now)}: ${model ?? 'no model'}, ${(reason ?? 'no reason').replace(/\p{Cc}+/gu, ' ')}`,
    );
  }
}
