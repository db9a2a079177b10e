/** `erase`: takes every value of one record out of the mirror, on a privacy request. */
import { Command } from 'commander';
import { findModel } from '../../catalog/index.ts';
import { FlowluError } from '../../flowlu/errors.ts';
import { type Erased, eraseEntity } from '../../maintain/erase.ts';
import { read } from '../../merge/settle.ts';
import { openClientsIfAny, type Session, settleDepsOf } from '../../service/session.ts';
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
    .description('take every value of one record out of the mirror and its ledger, on a privacy request')
    .argument('<model>', 'module.model')
    .argument('<id>', "the record's id")
    .option('--force', 'erase although Flowlu still has the record, or cannot be asked')
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
  const isErased = force || standing.says === 'gone';
  const erased = isErased ? await eraseAndNote(session, name, id) : null;
  if (json) printJson({ model: name, id, flowlu: standing, erased });
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
