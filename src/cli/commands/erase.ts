/** `erase`: takes every value of one record out of the mirror, on a privacy request. */
import { Command } from 'commander';
import { findModel } from '../../catalog/index.ts';
import { splitName } from '../../catalog/name.ts';
import { FlowluError } from '../../flowlu/errors.ts';
import { type Erased, eraseEntity } from '../../maintain/erase.ts';
import { read } from '../../merge/settle.ts';
import { openClientsIfAny, type Session, settleDepsOf } from '../../service/session.ts';
import { mentionsEntity } from '../../store/erasure.ts';
import { readRows } from '../../store/mirror-rows/reads.ts';
import { journaled } from '../../store/runs.ts';
import { requireId, requireModelName } from '../arguments.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { printJson, printLine } from '../output.ts';
import { runWithSession } from '../run.ts';

interface Flags {
  readonly force?: boolean;
  readonly json?: boolean;
}

/** What Flowlu says of the record before it is erased. */
type Standing =
  | { readonly says: 'gone' }
  | { readonly says: 'there' }
  | { readonly says: 'nothing'; readonly reason: string };

export function eraseCommand(): Command {
  return new Command('erase')
    .description('remove every value of one record from the mirror and its ledger, on a privacy request')
    .argument('<model>', 'module.model')
    .argument('<id>', "the record's id")
    .option('--force', 'erase even if Flowlu still has the record or cannot be asked')
    .option('--json', 'print the result as JSON')
    .action((word: string, id: string, flags: Flags) =>
      runWithSession(
        { name: 'erase', logTo: 'stderr', onMirror: 'work', check: () => [requireId(id), requireModelName(word)] },
        (session, { signal }) => erase(session, requireModelName(word), requireId(id), flags, signal),
      ),
    );
}

async function erase(
  session: Session,
  name: string,
  id: string,
  { force = false, json = false }: Flags,
  signal: AbortSignal,
): Promise<ExitCode> {
  const standing = await askFlowlu(session, name, id, signal);
  const isUnknown = standing.says !== 'there' && !(await isKnown(session.sql, name, id));
  const isErased = !isUnknown && (force || standing.says === 'gone');
  const erased = isErased ? await eraseAndNote(session, name, id) : null;
  if (json) printJson({ model: name, id, flowlu: standing, known: !isUnknown, erased });
  else if (isUnknown) printLine(`Nobody knows ${name} ${id}: the mirror holds nothing of it. Nothing was changed.`);
  else printResult(name, id, standing, erased);
  return isErased ? EXIT.done : EXIT.finding;
}

async function askFlowlu(session: Session, name: string, id: string, signal: AbortSignal): Promise<Standing> {
  const table = { name, model: findModel(name) ?? null };
  try {
    const clients = await openClientsIfAny(session);
    if (clients === null) return { says: 'nothing', reason: 'the settings name no key of the API' };
    const deps = settleDepsOf(session, clients.client);
    return { says: (await read(deps, table, id, signal)).says === 'absent' ? 'gone' : 'there' };
  } catch (error) {
    if (error instanceof FlowluError) return { says: 'nothing', reason: error.message };
    throw error;
  }
}

/** Whether the mirror holds a row, a delivery or a line of the ledger about it. */
async function isKnown(sql: Session['sql'], name: string, id: string): Promise<boolean> {
  return (await findsRow(sql, name, id)) || (await mentionsEntity(sql, { ...splitName(name), id }));
}

async function findsRow(sql: Session['sql'], name: string, id: string): Promise<boolean> {
  const tables = [...new Set([findModel(name) ?? null, null])].map((model) => ({ name, model }));
  const found = await Promise.all(tables.map((table) => readRows(sql, table, [id])));
  return found.some((rows) => rows.length > 0);
}

/** The journal says that it was done, and to which id; who asked for it is not known here. */
async function eraseAndNote({ sql, context, holder, stop }: Session, name: string, id: string): Promise<Erased> {
  let erased: Erased | null = null;
  const summary = () => ({ model: name, id, ...erased });
  return journaled(sql, { kind: 'erase', holder, signal: stop, summary }, async () => {
    erased = await eraseEntity(sql, { name, model: findModel(name) ?? null }, id, context);
    return erased;
  });
}

function printResult(name: string, id: string, standing: Standing, erased: Erased | null): void {
  const what = `${name} ${id}`;
  if (erased === null) {
    const why =
      standing.says === 'nothing'
        ? `Flowlu does not say whether it still has it: ${standing.reason}`
        : 'Flowlu still has it';
    printLine(`${what} was not erased. ${why}.`);
    printLine(
      'Delete it in Flowlu first: what is there comes back with the next sweep. Or erase it all the same with --force.',
    );
    return;
  }
  const row = erased.had_row ? 'Its row' : 'The mirror had no row of it; what there was';
  printLine(
    `${what} is erased. ${row}, ${erased.deliveries} deliveries and ${erased.lines} other lines hold none of its values any more.`,
  );
  if (standing.says !== 'gone') printLine('Flowlu may still have it; then a sweep or a catch-up brings it back.');
  printLine('Backups, and records of others that repeat its values, are not touched; see docs/operators.md.');
}
