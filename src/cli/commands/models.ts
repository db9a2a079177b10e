/** `models`: what is mirrored, with table names and counts. */
import { Command } from 'commander';
import { codeOf } from '../../manifest/scopes.ts';
import { modelCounts } from '../../status/counts.ts';
import { EXIT } from '../exit-codes.ts';
import { printJson, printTable } from '../output.ts';
import { runWithSession } from '../run.ts';

export function modelsCommand(): Command {
  return new Command('models')
    .description('list what is mirrored, with table names and counts')
    .option('--json', 'print the list as JSON')
    .action(({ json }: { json?: boolean }) =>
      runWithSession({ name: 'models', logTo: 'stderr' }, async (session) => {
        const counts = await modelCounts(session.sql);
        const rows = session.models.map((model) => ({
          model: model.name,
          title: model.title,
          table: `flowlu.${model.table}`,
          rows: counts.get(model.name)?.rows ?? 0,
          deleted: counts.get(model.name)?.deleted ?? 0,
          version: model.version,
          edition: model.edition,
          scope: scopeOf(codeOf(model, session.config.app.scopes)),
        }));
        if (json) printJson(rows);
        else {
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
        return EXIT.done;
      }),
    );
}

function scopeOf(code: string | null): string | null {
  return code === null ? null : `${code}.read`;
}
