/** `status`: freshness, backlog, failed deliveries, last runs. */
import { Command } from 'commander';
import { createSecretUse, type SecretUse } from '../../intake/secret-use.ts';
import { readStatus, type StatusReport } from '../../status/report.ts';
import { foreignWords, grantWords, portalWords, refusalWords } from '../../status/words.ts';
import { EXIT } from '../exit-codes.ts';
import { formatCount, formatDuration, printJson, printLine, printTable } from '../output.ts';
import { runWithSession } from '../run.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('show freshness, backlog, failed deliveries and the last runs')
    .option('--json', 'print everything as JSON')
    .action(({ json }: { json?: boolean }) =>
      runWithSession({ name: 'status', logTo: 'stderr', onMirror: 'look' }, async (session) => {
        const { secrets } = session.config.webhook;
        const [status, webhook_secrets] = await Promise.all([
          readStatus(session.sql),
          createSecretUse(secrets).read(session.sql),
        ]);
        const report = { ...status, webhook_secrets };
        if (json) printJson(report);
        else printStatus(report);
        return needsPerson(report) ? EXIT.finding : EXIT.done;
      }),
    );
}

function needsPerson({ deliveries, oauth, key_refused, unread_models }: StatusReport): boolean {
  return deliveries.failed > 0 || oauth?.state === 'refused' || key_refused !== null || unread_models.length > 0;
}

type Report = StatusReport & { readonly webhook_secrets: readonly SecretUse[] };

function printStatus({
  deliveries,
  doubtful_rows,
  oauth,
  key_refused,
  unread_models,
  portal,
  webhooks,
  foreign_names,
  failed_deliveries,
  runs,
  models,
  webhook_secrets,
}: Report): void {
  printLine(
    `Deliveries: ${formatCount(deliveries.total)} received, ${deliveries.pending} pending, ${deliveries.failed} failed, ` +
      `${deliveries.rejected} rejected; last at ${deliveries.last_received_at ?? 'never'}`,
  );
  printLine(`Doubtful rows: ${formatCount(doubtful_rows)}`);
  if (key_refused !== null) printLine(refusalWords(key_refused));
  if (portal.length > 0) printLine(`The portal: ${portalWords(portal)}`);
  for (const { model, outcome, reason } of unread_models)
    printLine(`Not read in full: ${model}, ${outcome}, ${reason}`);
  for (const { model, told } of webhooks) printLine(`Webhooks for ${model}: ${told}`);
  for (const { name, rows, suggestions } of foreign_names) {
    printLine(`Webhooks speak of ${name} (${rows} rows); ${foreignWords(suggestions)}`);
  }
  if (oauth !== null) printLine(`Login at Flowlu: ${grantWords(oauth)}`);
  for (const { position, last_used_at } of webhook_secrets) {
    printLine(`Webhook secret ${position} of ${webhook_secrets.length}: last used ${last_used_at ?? 'never'}`);
  }
  const filled = models.filter(({ rows, deleted_rows }) => rows + deleted_rows > 0);
  printLine(`Models with rows: ${filled.length} of ${models.length}\n`);
  printTable(filled, [
    { header: 'model', value: (row) => row.model },
    { header: 'rows', value: (row) => row.rows },
    { header: 'deleted', value: (row) => row.deleted_rows },
    { header: 'doubtful', value: (row) => row.doubtful_rows },
    { header: 'last change', value: (row) => row.last_change_at },
    { header: 'lag', value: (row) => (row.lag_seconds === null ? null : formatDuration(row.lag_seconds * 1_000)) },
    { header: 'caught up by', value: (row) => row.strategy },
  ]);
  for (const { model, last_error } of models) {
    if (last_error !== null) printLine(`${model}: catching up failed, ${last_error}`);
  }
  if (failed_deliveries.length > 0) {
    printLine('\nDeliveries that could not be applied');
    printTable(failed_deliveries, [
      { header: 'id', value: (row) => row.id },
      { header: 'received', value: (row) => row.received_at },
      { header: 'status', value: (row) => row.status },
      { header: 'model', value: (row) => row.model },
      { header: 'reason', value: (row) => row.reason },
    ]);
  }
  if (runs.length > 0) {
    printLine('\nLast runs');
    printTable(runs, [
      { header: 'id', value: (row) => row.id },
      { header: 'kind', value: (row) => row.kind },
      { header: 'status', value: (row) => row.status },
      { header: 'started', value: (row) => row.started_at },
      { header: 'finished', value: (row) => row.finished_at },
    ]);
  }
}
