/** `models`: what is mirrored, as a list, as a page of documentation, or as sources for dbt. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { models } from '../../catalog/index.ts';
import { DATA_MODEL_PAGE, dataModelPage } from '../../describe/data-model.ts';
import { dbtSources } from '../../describe/dbt.ts';
import { codeOf } from '../../manifest/scopes.ts';
import type { Session } from '../../service/session.ts';
import { modelStatuses } from '../../store/watermarks.ts';
import { readDictionary } from '../../views/dictionary.ts';
import { EXIT } from '../exit-codes.ts';
import { printJson, printLine, printTable, write } from '../output.ts';
import { runCommand, runWithSession } from '../run.ts';

interface Flags {
  readonly json?: boolean;
  readonly dbt?: boolean;
  readonly docs?: string;
}

export function modelsCommand(): Command {
  return new Command('models')
    .description('list what is mirrored, with table names and counts; or describe it for other tools')
    .option('--json', 'print the list as JSON')
    .addOption(new Option('--dbt', 'print a sources.yml for dbt 1.10 or later').conflicts('json'))
    .addOption(new Option('--docs <directory>', 'write a page with diagrams of the tables').conflicts(['json', 'dbt']))
    .action(async (flags: Flags) => {
      const { docs } = flags;
      if (docs !== undefined) {
        await runCommand({ name: 'models', logTo: 'stderr' }, () => writePage(docs));
        return;
      }
      await runWithSession({ name: 'models', logTo: 'stderr', onMirror: 'look' }, async (session) => {
        if (flags.dbt) await printDbt(session);
        else await printModels(session, flags.json === true);
        return EXIT.done;
      });
    });
}

async function writePage(directory: string) {
  await mkdir(directory, { recursive: true });
  const path = join(directory, DATA_MODEL_PAGE);
  await writeFile(path, dataModelPage());
  printLine(path);
  return EXIT.done;
}

async function printDbt({ sql, models: mirrored }: Session): Promise<void> {
  const kept = new Set(mirrored.map(({ table }) => table));
  const leftOut = new Set(models.map(({ table }) => table).filter((table) => !kept.has(table)));
  const entries = (await readDictionary(sql)).filter(({ table_name }) => !leftOut.has(table_name));
  write(process.stdout, dbtSources(entries));
}

async function printModels({ sql, models: mirrored, config }: Session, json: boolean): Promise<void> {
  const counts = new Map((await modelStatuses(sql)).map((status) => [status.model, status]));
  const rows = mirrored.map((model) => ({
    model: model.name,
    title: model.title,
    table: `flowlu.${model.table}`,
    rows: counts.get(model.name)?.rows ?? 0,
    deleted: counts.get(model.name)?.deleted_rows ?? 0,
    version: model.version,
    edition: model.edition,
    scope: scopeOf(codeOf(model, config.app.scopes)),
  }));
  if (json) {
    printJson(rows);
    return;
  }
  printTable(rows, [
    { header: 'model', value: (row) => row.model },
    { header: 'table', value: (row) => row.table },
    { header: 'rows', value: (row) => row.rows },
    { header: 'deleted', value: (row) => row.deleted },
    { header: 'version field', value: (row) => row.version },
    { header: 'edition', value: (row) => row.edition },
    { header: 'title', value: (row) => row.title },
  ]);
}

function scopeOf(code: string | null): string | null {
  return code === null ? null : `${code}.read`;
}
