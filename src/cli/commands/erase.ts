import { Command } from 'commander';
import { findModel } from '../../catalog/index.ts';
import { splitName } from '../../catalog/name.ts';
import { FlowluError } from '../../flowlu/errors.ts';
import { type Erased, eraseEntity } from '../../maintain/erase.ts';
import { read } from '../../merge/settle.ts';
import { readRow } from '../../mirror-rows/reads.ts';
import { problemOf } from '../../service/authorization.ts';
import { openClientsIfAny, type Session, settleDepsOf } from '../../service/session.ts';
import { count } from '../../status/words.ts';
import { mentionsEntity } from '../../store/erasure.ts';
import { journaled } from '../../store/runs.ts';
import { printLine } from '../../terminal/output.ts';
import { confirm } from '../../terminal/prompt.ts';
import { requireId, requireKnownModel, requireModelName } from '../arguments.ts';
import { EXIT } from '../exit-codes.ts';
import { type Result, runWithSession } from '../run.ts';

interface EraseFlags {
  readonly force?: boolean;
  readonly yes?: boolean;
}

/** What Flowlu says of the record before it is erased. */
type Standing =
  | { readonly says: 'gone' }
  | { readonly says: 'there' }
  | { readonly says: 'nothing'; readonly reason: string };

export const eraseCommand = new Command('erase')
  .argument('<model>', 'module.model')
  .argument('<id>', "the record's id")
  .option('--force', 'erase even if Flowlu still has the record or cannot be asked')
  .option('--yes', 'do not ask before the values are taken out')
  .action((word: string, id: string, flags: EraseFlags, command: Command) =>
    runWithSession(
      command,
      'work',
      (session, { signal }) => erase(session, requireModelName(word), requireId(id), flags, signal),
      { check: () => [requireId(id), requireModelName(word)] },
    ),
  );

async function erase(
  session: Session,
  name: string,
  id: string,
  { force = false, yes = false }: EraseFlags,
  signal: AbortSignal,
): Promise<Result> {
  const standing = await askFlowlu(session, name, id, signal);
  const isKnown = standing.says === 'there' || (await findsAnything(session.sql, name, id));
  requireKnownModel(name, isKnown);
  const mayErase = isKnown && (force || standing.says === 'gone');
  const isWanted = mayErase && (yes || (await confirm(`Erase every value of ${name} ${id}?`, signal)));
  const erased = isWanted ? await eraseAndNote(session, name, id) : null;
  const print = () => {
    if (erased !== null) return printErased(name, id, standing, erased);
    if (!isKnown) printLine(`Nobody knows ${name} ${id}: the mirror holds nothing of it. Nothing was changed.`);
    else if (mayErase) printLine('Nothing was changed.');
    else printRefusal(name, id, standing);
  };
  const exitCode = erased === null ? EXIT.finding : EXIT.done;
  return { data: { model: name, id, flowlu: standing, known: isKnown, erased }, print, exitCode };
}

async function askFlowlu(session: Session, name: string, id: string, signal: AbortSignal): Promise<Standing> {
  const table = { name, model: findModel(name) ?? null };
  try {
    const clients = await openClientsIfAny(session);
    if (clients === null) return { says: 'nothing', reason: 'the settings name no key of the API' };
    const deps = settleDepsOf(session, clients.client);
    return { says: (await read(deps, table, id, signal)).says === 'absent' ? 'gone' : 'there' };
  } catch (error) {
    if (error instanceof FlowluError) return { says: 'nothing', reason: problemOf(error, session.config).sentence };
    throw error;
  }
}

/** Whether the mirror holds a row, a delivery or a line of the ledger about it. */
async function findsAnything(sql: Session['sql'], name: string, id: string): Promise<boolean> {
  const tables = [...new Set([findModel(name) ?? null, null])].map((model) => ({ name, model }));
  const found = await Promise.all(tables.map((table) => readRow(sql, table, id)));
  return found.some((row) => row !== null) || mentionsEntity(sql, { ...splitName(name), id });
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

function printRefusal(name: string, id: string, standing: Standing): void {
  const why =
    standing.says === 'nothing'
      ? `Flowlu does not say whether it still has it: ${standing.reason}`
      : 'Flowlu still has it';
  printLine(`${name} ${id} was not erased. ${why}.`);
  printLine('Delete it in Flowlu first: what is there comes back with the next sweep. --force erases it all the same.');
}

function printErased(name: string, id: string, standing: Standing, { had_row, deliveries, lines }: Erased): void {
  const row = had_row ? 'Its row' : 'The mirror had no row of it; what there was';
  const others = `${count(deliveries, 'delivery', 'deliveries')} and ${count(lines, 'other line')}`;
  printLine(`${name} ${id} is erased. ${row}, ${others} hold none of its values any more.`);
  if (standing.says !== 'gone') printLine('Flowlu may still have it; then a sweep or a catch-up brings it back.');
  printLine('Backups, and records of others that repeat its values, are not touched; see docs/operators.md.');
}
