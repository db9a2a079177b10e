/** Parts of what `status` prints: the models, and the webhooks that could not be applied. */
import { groupBy } from '../core/group.ts';
import type { StatusReport } from '../status/report.ts';
import { ageOf } from '../status/words.ts';
import { printLine, printTable } from './output.ts';

export function printModels({ models, generated_at: now }: StatusReport, all: boolean): void {
  const filled = models.filter(({ rows, deleted_rows }) => rows + deleted_rows > 0).toSorted((a, b) => b.rows - a.rows);
  const groups = groupBy(filled, ({ model }) => (all ? model : `${model.split('.', 1)[0]}`));
  const rows = [...groups].map(([name, group]) => {
    const sum = (pick: (model: StatusReport['models'][number]) => number) =>
      group.reduce((total, one) => total + pick(one), 0);
    const newest =
      group
        .flatMap(({ last_change_at }) => last_change_at ?? [])
        .toSorted()
        .at(-1) ?? null;
    const oldest = group.flatMap(({ last_reconciled_at }) => last_reconciled_at ?? []).toSorted()[0] ?? null;
    return {
      name,
      models: group.length,
      rows: sum((m) => m.rows),
      deleted: sum((m) => m.deleted_rows),
      doubtful: sum((m) => m.doubtful_rows),
      newest,
      oldest,
    };
  });
  printTable(
    rows.toSorted((a, b) => b.rows - a.rows),
    [
      [all ? 'model' : 'module', (row) => row.name],
      ...(all ? [] : (['models'] as const)),
      'rows',
      'deleted',
      'doubtful',
      ['last change', (row) => row.newest && ageOf(row.newest, now)],
      ['compared', (row) => row.oldest && ageOf(row.oldest, now)],
    ],
  );
}

export function printFailures({ failed_deliveries, generated_at: now }: StatusReport): void {
  if (failed_deliveries.length === 0) return;
  printLine('\nRejected and failed webhooks');
  for (const { id, received_at, status, model, reason } of failed_deliveries) {
    printLine(
      `  delivery ${id}, ${status} ${ageOf(received_at, now)}: ${model ?? 'no model'}, ${(reason ?? 'no reason').replace(/\p{Cc}+/gu, ' ')}`,
    );
  }
}
