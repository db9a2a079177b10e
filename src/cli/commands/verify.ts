import { Command } from 'commander';
import { namesOf } from '../../doctor/check.ts';
import { FINDING_KINDS, type Finding } from '../../reconcile/findings.ts';
import { type ModelVerification, NOT_READ, type Verification, verify } from '../../reconcile/verify.ts';
import { count } from '../../status/words.ts';
import { printLine, printTable } from '../../terminal/output.ts';
import { wholeNumber } from '../arguments.ts';
import { EXIT } from '../exit-codes.ts';
import { runOverModels, withoutAbsent } from '../round.ts';

interface VerifyFlags {
  readonly repair?: boolean;
  readonly sample?: number | null;
}

const MAX_SAMPLE = 10_000;
/** Findings per model that a terminal shows; `--json` has them all. */
const SHOWN = 5;

export const verifyCommand = new Command('verify')
  .argument('[model...]', 'models to compare: module.model or module.*; all when there are none')
  .option('--repair', 'write what the portal has where the mirror differs')
  .option(
    '--sample <rows>',
    'compare this many random rows of each model instead of all: a quick check',
    wholeNumber(MAX_SAMPLE),
  )
  .action((words: string[], { repair = false, sample = null }: VerifyFlags, command: Command) =>
    runOverModels(command, repair ? 'work' : 'look', words, async (deps, round) => {
      const report = await verify(deps, { ...round, repair, sample });
      const exitCode = report.status === 'done' ? EXIT.done : EXIT.finding;
      return { data: report, print: () => printVerification(report, repair), exitCode };
    }),
  );

function printVerification({ models: all, status }: Verification, repair: boolean): void {
  const models = all.filter(({ reason }) => reason !== NOT_READ);
  const unread = all.length - models.length;
  if (unread > 0) printLine(`${count(unread, 'model')} not read yet: flowlu-mirror backfill reads them.`);
  const shown = models.filter((row) => row.outcome !== 'skipped' && (row.rows > 0 || isRemarkable(row)));
  const repairs = repair ? (['repaired'] as const) : [];
  printTable(shown, ['model', 'rows', 'missing', 'extra', 'stale', 'differing', 'in_flight', 'unchecked', ...repairs]);
  for (const row of withoutAbsent(models)) printRemarks(row);
  const compared = shown.filter(({ outcome, rows }) => outcome === 'complete' || rows > 0);
  const incomplete = shown.filter(({ outcome }) => outcome !== 'complete').map(({ model }) => model);
  const rows = compared.reduce((sum, row) => sum + row.rows, 0);
  const found = models.reduce((sum, row) => sum + row.findings.length, 0);
  const repaired = models.reduce((sum, row) => sum + row.repaired, 0);
  const verdict = found === 0 ? 'no drift' : `${count(found, 'row')} drifted`;
  const mended = repair && found > 0 ? `, ${count(repaired)} of them mended` : '';
  printLine(`${count(rows, 'row')} of ${count(compared.length, 'model')} compared: ${verdict}${mended}.`);
  if (incomplete.length > 0) printLine(`Not compared, or not in full, see above: ${namesOf(incomplete)}.`);
  else if (status !== 'done' && found <= repaired) printLine('Not everything could be compared, see above.');
}

function isRemarkable(row: ModelVerification): boolean {
  return row.findings.length > 0 || row.unchecked > 0 || row.outcome !== 'complete' || row.guarded !== null;
}

function printRemarks(row: ModelVerification): void {
  for (const kind of FINDING_KINDS) {
    const found = row.findings.filter((finding) => finding.kind === kind);
    if (found.length === 0) continue;
    const more = found.length > SHOWN ? ` and ${count(found.length - SHOWN)} more` : '';
    printLine(`${row.model}: ${kind} ${found.slice(0, SHOWN).map(describe).join(', ')}${more}`);
  }
  if (row.reason !== null) printLine(`${row.model}: ${row.outcome}, ${row.reason}`);
  if (row.guarded !== null) printLine(`${row.model}: guarded, ${row.guarded}`);
  if (row.unchecked > 0) {
    printLine(`${row.model}: ${count(row.unchecked)} differences were found but not looked at a second time`);
  }
}

function describe({ id, fields, columns }: Finding): string {
  const some = (names: readonly string[]) => `${names.slice(0, SHOWN).join(', ')}${names.length > SHOWN ? ', …' : ''}`;
  const parts = [
    ...(fields.length > 0 ? [some(fields)] : []),
    ...(columns.length > 0 ? [`columns unlike the record: ${some(columns)}`] : []),
  ];
  return parts.length === 0 ? id : `${id} (${parts.join('; ')})`;
}
