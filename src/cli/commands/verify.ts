/** `verify`: compares both sides field by field; `--repair` mends what differs. */
import { Command, InvalidArgumentError } from 'commander';
import { FINDING_KINDS, type Finding } from '../../reconcile/findings.ts';
import { type ModelVerification, type Verification, verify } from '../../reconcile/verify.ts';
import { EXIT } from '../exit-codes.ts';
import { formatCount, printLine, printTable } from '../output.ts';
import { runOverModels } from '../round.ts';

interface Flags {
  readonly repair?: boolean;
  readonly sample?: number;
  readonly json?: boolean;
}

const MAX_SAMPLE = 10_000;
/** Findings per model that a terminal shows; `--json` has them all. */
const SHOWN = 5;

export function verifyCommand(): Command {
  return new Command('verify')
    .description('compare the mirror with the portal field by field and report every difference')
    .argument('[model...]', 'models to compare: module.model or module.*; all when there are none')
    .option('--repair', 'write what the portal has where the mirror differs')
    .option('--sample <rows>', 'compare this many random rows of each model instead of all: a quick check', parseSample)
    .option('--json', 'print the result, with every finding, as JSON')
    .action((words: string[], flags: Flags) =>
      runOverModels({ name: 'verify', onMirror: 'work', json: flags.json }, words, async (deps, round) => {
        const report = await verify(deps, { ...round, repair: flags.repair ?? false, sample: flags.sample ?? null });
        const exitCode = report.status === 'done' ? EXIT.done : EXIT.finding;
        return { report, print: () => printVerification(report, flags), exitCode };
      }),
    );
}

function parseSample(text: string): number {
  const rows = Number(text);
  if (!/^\d+$/.test(text) || rows < 1 || rows > MAX_SAMPLE) {
    throw new InvalidArgumentError(`a whole number from 1 to ${MAX_SAMPLE} is needed.`);
  }
  return rows;
}

function printVerification({ models, status }: Verification, { repair }: Flags): void {
  const shown = models.filter((row) => row.outcome !== 'skipped' && (row.rows > 0 || isRemarkable(row)));
  printTable(shown, [
    { header: 'model', value: (row) => row.model },
    { header: 'rows', value: (row) => row.rows },
    { header: 'missing', value: (row) => row.missing },
    { header: 'extra', value: (row) => row.extra },
    { header: 'stale', value: (row) => row.stale },
    { header: 'differing', value: (row) => row.differing },
    { header: 'in flight', value: (row) => row.in_flight },
    { header: 'unchecked', value: (row) => row.unchecked },
    ...(repair ? [{ header: 'repaired', value: (row: ModelVerification) => row.repaired }] : []),
  ]);
  for (const row of models) printRemarks(row);
  const rows = models.reduce((sum, row) => sum + row.rows, 0);
  const found = models.reduce((sum, row) => sum + row.findings.length, 0);
  const repaired = models.reduce((sum, row) => sum + row.repaired, 0);
  const verdict = found === 0 ? 'no drift' : `${formatCount(found)} rows drifted`;
  const mended = repair && found > 0 ? `, ${formatCount(repaired)} of them mended` : '';
  const doubt = status === 'done' || found > repaired ? '' : '; not everything could be compared, see above';
  printLine(`${formatCount(rows)} rows of ${shown.length} models compared: ${verdict}${mended}${doubt}.`);
}

function isRemarkable(row: ModelVerification): boolean {
  return row.findings.length > 0 || row.unchecked > 0 || row.outcome !== 'complete' || row.guarded !== null;
}

function printRemarks(row: ModelVerification): void {
  for (const kind of FINDING_KINDS) {
    const found = row.findings.filter((finding) => finding.kind === kind);
    if (found.length === 0) continue;
    const more = found.length > SHOWN ? ` and ${formatCount(found.length - SHOWN)} more` : '';
    printLine(`${row.model}: ${kind} ${found.slice(0, SHOWN).map(describe).join(', ')}${more}`);
  }
  if (row.reason !== null) printLine(`${row.model}: ${row.outcome}, ${row.reason}`);
  if (row.guarded !== null) printLine(`${row.model}: guarded, ${row.guarded}`);
  if (row.unchecked > 0) {
    printLine(`${row.model}: ${formatCount(row.unchecked)} differences were found but not looked at a second time`);
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
