import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { models } from '../../catalog/index.ts';
import { DATA_MODEL_PAGE, dataModelPage } from '../../describe/data-model.ts';
import { dbtSources } from '../../describe/dbt.ts';
import { keysFor, TOOLS, type Tool } from '../../describe/keys.ts';
import { codeOf } from '../../manifest/scopes.ts';
import type { Session } from '../../service/session.ts';
import { modelStatuses } from '../../store/watermarks.ts';
import { allViews } from '../../views/all.ts';
import { readDictionary } from '../../views/dictionary.ts';
import { readLiveFacts } from '../../views/live-facts.ts';
import { EXIT } from '../exit-codes.ts';
import { printLine, printTable, write } from '../output.ts';
import { type Result, runCommand, runWithSession } from '../run.ts';

export const modelsCommand = new Command('models')
  .addOption(new Option('--dbt', 'print a sources.yml for dbt 1.10 or later').conflicts('json'))
  .addOption(
    new Option('--keys <tool>', 'print keys and links of the views for a tool')
      .choices(TOOLS)
      .conflicts(['json', 'dbt']),
  )
  .addOption(
    new Option('--docs <directory>', 'write a page with diagrams of the tables').conflicts(['json', 'dbt', 'keys']),
  )
  .action(({ docs, keys, dbt = false }: { docs?: string; keys?: Tool; dbt?: boolean }, command: Command) => {
    if (docs !== undefined) return runCommand(command, () => writePage(docs));
    return runWithSession(command, 'look', (session) => {
      if (keys !== undefined) return printKeys(session, keys);
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

async function printDbt({ sql, models: mirrored }: Session) {
  const kept = new Set(mirrored.map(({ table }) => table));
  const leftOut = new Set(models.map(({ table }) => table).filter((table) => !kept.has(table)));
  const entries = (await readDictionary(sql)).filter(({ table_name }) => !leftOut.has(table_name));
  write(process.stdout, dbtSources(entries));
  return EXIT.done;
}

async function printKeys({ sql }: Session, tool: Tool) {
  write(process.stdout, keysFor(tool, allViews(await readLiveFacts(sql))));
  return EXIT.done;
}

async function listModels({ sql, models: mirrored, config }: Session): Promise<Result> {
  const counts = new Map((await modelStatuses(sql)).map((status) => [status.model, status]));
  const rows = mirrored.map((model) => {
    const code = codeOf(model, config.app.scopes);
    return {
      model: model.name,
      title: model.title,
      table: `flowlu.${model.table}`,
      rows: counts.get(model.name)?.rows ?? 0,
      deleted: counts.get(model.name)?.deleted_rows ?? 0,
      version: model.version,
      edition: model.edition,
      scope: code === null ? null : `${code}.read`,
    };
  });
  const print = () =>
    printTable(rows, [
      'model',
      'table',
      'rows',
      'deleted',
      ['version field', (row) => row.version],
      'edition',
      'title',
    ]);
  return { data: rows, print };
}
