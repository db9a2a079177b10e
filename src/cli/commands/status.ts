import { Command } from 'commander';
import { foreignWords } from '../../catalog/other-names.ts';
import { orAborted } from '../../core/time.ts';
import { createSecretUse } from '../../intake/secret-use.ts';
import { reportSource } from '../../service/app.ts';
import { openPool, prepare } from '../../service/session.ts';
import type { FindingCode } from '../../status/finding.ts';
import { type Assessment, needsPerson } from '../../status/findings.ts';
import { readReport, type StatusReport, withoutReport } from '../../status/report.ts';
import { ageOf, count, grantWords, headerWords, napWords, portalWords, took, withoutRows } from '../../status/words.ts';
import { printFindings } from '../../terminal/findings.ts';
import { printLine, printTable } from '../../terminal/output.ts';
import { printFailures, printModels } from '../../terminal/status.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type CommandContext, type Result, runCommand } from '../run.ts';

export const statusCommand = new Command('status')
  .option('--all', 'list every model instead of one line for each module')
  .action(({ all = false }: { all?: boolean }, command: Command) =>
    runCommand(command, (context) => orAborted(statusOf(context, all), context.signal)),
  );

async function statusOf({ config, log, signal }: CommandContext, all: boolean): Promise<Result> {
  const pool = await openPool(config, { log, signal, command: 'status', onMirror: 'look' });
  try {
    const secretUse = createSecretUse(config.webhook.secrets);
    const source = reportSource(pool, () => secretUse.read(pool.sql));
    const { situation } = await source.health();
    if (situation.kind !== 'hindered') await prepare(pool, { log, onMirror: 'look' });
    const report = await readReport(source).catch((error: Error) => error);
    if (report === null || report instanceof Error) return hindered(await withoutReport(source, report));
    const needs_person = needsPerson(report);
    const exitCode = needs_person ? EXIT.finding : EXIT.done;
    return { data: { ...report, needs_person }, print: () => printStatus(report, all), exitCode };
  } finally {
    await pool.close();
  }
}

/** Where the mirror cannot be read; that nothing can be read at all, or with an address of the wrong role, is a failure. */
function hindered(found: Assessment): Result {
  const exitCodes: { readonly [C in FindingCode]?: ExitCode } = {
    database_away: EXIT.failed,
    not_readable: EXIT.failed,
    rights_missing: EXIT.usage,
  };
  const exitCode = exitCodes[found.findings[0]?.code ?? 'schema'] ?? EXIT.finding;
  const stream = exitCode === EXIT.finding ? process.stdout : process.stderr;
  const print = () => printFindings(found, new Date().toISOString(), stream);
  return { data: { error: found.headline, ...found, needs_person: true }, print, exitCode };
}

function printStatus(report: StatusReport, all: boolean): void {
  const { deliveries, doubtful_rows, oauth, portal_facts, webhook_headers, runs, generated_at: now } = report;
  const age = (at: string | null) => (at === null ? 'never' : ageOf(at, now));
  printLine(`${report.portal ?? 'no portal yet'} → ${report.database}`);
  printFindings(report, now);
  printLine();
  printLine(
    `Webhooks   last ${age(deliveries.last_received_at)}; ${count(deliveries.total)} kept, ${count(deliveries.pending)} waiting, ` +
      `${count(deliveries.failed)} failed, ${count(deliveries.rejected)} rejected`,
  );
  for (const { position, last_used_at } of report.webhook_secrets) {
    printLine(`Secret ${position}   last used ${age(last_used_at)}`);
  }
  if (doubtful_rows > 0) printLine(`Doubtful   ${count(doubtful_rows, 'row')}`);
  const naps = napWords(report.database_sleep_seconds);
  if (naps !== null) printLine(`Naps       ${naps}`);
  if (oauth !== null) printLine(`Login      ${grantWords(oauth, now)}`);
  if (portal_facts.length > 0) printLine(`Portal     ${portalWords(portal_facts)}`);
  if (Object.keys(webhook_headers).length > 0) printLine(`Headers    ${headerWords(webhook_headers)}`);
  for (const { model, told, share } of report.webhooks) {
    if (share !== null && share < 1) printLine(`Webhooks for ${model}: ${told}`);
  }
  for (const { name, rows, suggestions } of report.foreign_names) {
    printLine(`Webhooks speak of ${name} (${count(rows, 'row')}); ${foreignWords(suggestions)}`);
  }
  printLine();
  printModels(report, all);
  printFailures(report);
  if (runs.length === 0) return;
  printLine('\nLast runs');
  printTable(runs.slice(0, 5), [
    ['run', (row) => row.kind],
    ['outcome', (row) => row.status],
    ['began', (row) => age(row.started_at)],
    ['took', ({ started_at, finished_at }) => finished_at && took(started_at, finished_at)],
    'requests',
    ['written', (row) => row.rows_written],
  ]);
  for (const { kind, reasons } of runs.slice(0, 5)) for (const reason of reasons) printLine(`  ${kind}: ${reason}`);
  const others = withoutRows(report.models).map(({ words }) => words);
  if (!all && others.length > 0)
    printLine(`${others.join(', ')}. The models with rows, one by one: flowlu-mirror status --all`);
}
