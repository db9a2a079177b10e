import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { models } from '../../catalog/index.ts';
import { DATA_MODEL_PAGE, dataModelPage } from '../../describe/data-model.ts';
import { dbtSources } from '../../describe/dbt.ts';
import { dbtProject } from '../../describe/dbt-project.ts';
import { keysFor, TOOLS, type Tool } from '../../describe/keys.ts';
import { codeOf } from '../../manifest/scopes.ts';
import { allViews } from '../../reports/all.ts';
import type { Session } from '../../service/session.ts';
import { withoutRows } from '../../status/words.ts';
import { absentModels } from '../../store/listings.ts';
import { modelStatuses } from '../../store/watermarks.ts';
import { printLine, printTable, write } from '../../terminal/output.ts';
import { readDictionary } from '../../views/dictionary.ts';
import { extraViewName } from '../../views/extra-models.ts';
import { readLiveFacts } from '../../views/live-facts.ts';
import { EXIT } from '../exit-codes.ts';
import { type Result, runCommand, runWithSession } from '../run.ts';

interface Flags {
  readonly docs?: string;
  readonly keys?: Tool;
  readonly dbt?: boolean;
  readonly dbtProject?: string;
}

export const modelsCommand = new Command('models')
  .addOption(new Option('--dbt', 'print a sources.yml for dbt 1.10 or later').conflicts('json'))
  .addOption(
    new Option('--dbt-project <directory>', 'write a dbt project that builds on the mirror').conflicts(['json', 'dbt']),
  )
  .addOption(
    new Option('--keys <tool>', 'print keys and links of the views for a tool')
      .choices(TOOLS)
      .conflicts(['json', 'dbt', 'dbtProject']),
  )
  .addOption(
    new Option('--docs <directory>', 'write a page with diagrams of the tables').conflicts([
      'json',
      'dbt',
      'dbtProject',
      'keys',
    ]),
  )
  .action(({ docs, keys, dbt = false, dbtProject: project }: Flags, command: Command) => {
    if (docs !== undefined) return runCommand(command, () => writePage(docs));
    return runWithSession(command, 'look', (session) => {
      if (keys !== undefined) return printKeys(session, keys);
      if (project !== undefined) return writeProject(session, project);
      return dbt ? printDbt(session) : listModels(session);
    });
  });

async function writePage(directory: string) {
  await mkdir(directory, { recursive: true });
  const path = join(directory, DATA_MODEL_PAGE);
  await writeFile(path, dataModelPage());
  printLine(path);
  return EXIT.done;
}

async function entriesOf({ sql, models: mirrored }: Session) {
  const kept = new Set(mirrored.map(({ table }) => table));
  const leftOut = new Set(models.map(({ table }) => table).filter((table) => !kept.has(table)));
  return (await readDictionary(sql)).filter(({ table_name }) => !leftOut.has(table_name));
}

async function printDbt(session: Session) {
  write(process.stdout, dbtSources(await entriesOf(session)));
  return EXIT.done;
}

async function writeProject(session: Session, directory: string) {
  const views = allViews(await readLiveFacts(session.sql));
  for (const [name, text] of dbtProject(await entriesOf(session), views)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  printLine(directory);
  return EXIT.done;
}

async function printKeys({ sql }: Session, tool: Tool) {
  write(process.stdout, keysFor(tool, allViews(await readLiveFacts(sql))));
  return EXIT.done;
}

async function listModels({ sql, models: mirrored, config }: Session): Promise<Result> {
  const absent = await absentModels(sql);
  const counts = new Map((await modelStatuses(sql)).map((status) => [status.model, status]));
  const rows = mirrored.map((model) => {
    const code = codeOf(model, config.app.scopes);
    return {
      model: model.name,
      title: model.title,
      // A model that the catalogue does not know shares a table with others, and has a view of its own.
      table: model.table === '' ? `flowlu_live.${extraViewName(model.name)}` : `flowlu.${model.table}`,
      rows: counts.get(model.name)?.rows ?? 0,
      deleted: counts.get(model.name)?.deleted_rows ?? 0,
      absent: absent.has(model.name),
      last_reconciled_at: counts.get(model.name)?.last_reconciled_at ?? null,
      version: model.version,
      edition: model.edition,
      scope: code === null ? null : `${code}.read`,
    };
  });
  const print = () => {
    printTable(rows, [
      // What a narrow terminal cuts off comes last.
      'model',
      ['rows', (row) => (row.absent && row.rows === 0 ? 'absent' : row.rows)],
      'deleted',
      'table',
      ['version field', (row) => row.version],
      'edition',
      'title',
    ]);
    const others = withoutRows(rows.map((row) => ({ ...row, deleted_rows: row.deleted })));
    if (others.length > 0) printLine(`${others.map(({ words }) => words).join(', ')}.`);
  };
  return { data: rows, print };
}
