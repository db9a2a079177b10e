/** How a verdict is put together. */
import { mergeRecords, type Shape } from '../../record/record.ts';
import type { Decision } from '../../store/deliveries/ledger.ts';
import type { Announced, NextRow, Row, Verdict } from './observation.ts';

export function write(decision: Decision, row: NextRow, doubt: string | null = null): Verdict {
  return { decision, row, doubt };
}

export function keep(decision: Decision, doubt: string | null = null): Verdict {
  return { decision, row: null, doubt };
}

/** The row that an announced state makes: what it does not tell keeps its stored value. */
export function announcedRow(row: Row | null, seen: Announced, shape: Shape): NextRow {
  return {
    record: row === null ? seen.record : mergeRecords(shape, row.record, seen.record),
    observedAt: seen.observedAt,
    source: 'webhook',
    deletedAt: null,
  };
}
