/** The result for people: one table on the terminal. */
import { printTable } from '../src/terminal/output.ts';
import type { Goal, Measure } from './measure.ts';

/** Prints the table of all measures. */
export function printMeasures(measures: readonly Measure[]): void {
  printTable(measures, [
    ['measure', (row) => row.name],
    'unit',
    ['ours', (row) => figure(row.ours)],
    ['compared with', (row) => row.reference?.name],
    ['its figure', ({ reference }) => reference && figure(reference.value)],
    ['ratio', (row) => row.ratio?.toFixed(2)],
    ['goal', ({ goal }) => goal && goalText(goal)],
    ['reached', ({ reached }) => (reached === null ? '' : reached ? 'yes' : 'no')],
  ]);
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
