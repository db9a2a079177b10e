/** The result for people: one table on the terminal. */
import Table from 'cli-table3';
import type { Goal, Measure } from './measure.ts';

/** The table of all measures. */
export function tableOf(measures: readonly Measure[]): string {
  const table = new Table({
    head: ['measure', 'unit', 'ours', 'compared with', 'its figure', 'ratio', 'goal', 'reached'],
    colAligns: ['left', 'left', 'right', 'left', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const { name, unit, ours, reference, ratio, goal, reached } of measures) {
    table.push([
      name,
      unit,
      figure(ours),
      reference?.name ?? '',
      reference === null ? '' : figure(reference.value),
      ratio === null ? '' : ratio.toFixed(2),
      goal === null ? '' : goalText(goal),
      reached === null ? '' : reached ? 'yes' : 'no',
    ]);
  }
  return table.toString();
}

function goalText({ of, bound, value }: Goal): string {
  return `${of === 'ratio' ? 'ratio' : 'ours'} ${bound === 'at least' ? '≥' : '≤'} ${figure(value)}`;
}

/** A figure with three digits that count. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
