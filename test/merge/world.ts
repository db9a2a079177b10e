/** Words for tests of the rule: rows, observations and deliveries of one entity, with times in seconds. */

import { findModel } from '../../src/catalog/index.ts';
import type { Model } from '../../src/catalog/types.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { completeRow } from '../../src/merge/rule/fold.ts';
import type { Announced, Earlier, Observation, Present, Row, Surroundings } from '../../src/merge/rule/observation.ts';
import { linkOf } from '../../src/merge/rule/tie.ts';
import { type Observed, type WriterContext, writeObservations } from '../../src/merge/writer.ts';
import type { Transaction } from '../../src/postgres/connection.ts';
import { credible, versionOf } from '../../src/record/version.ts';
import { createZone } from '../../src/record/zone.ts';

export const SECOND = 1_000_000;
export const GRACE_S = 60;
const START = Date.parse('2026-06-01T12:00:00Z') * 1_000;
export const zone = createZone('UTC');

/** A moment so many seconds after noon, by the mirror's clock. */
export const at = (seconds: number): number => START + seconds * SECOND;

/** The rule's words for one model: with a version field (crm.account) or without one (crm.loss_reason). */
export function worldOf(name: 'crm.account' | 'crm.loss_reason') {
  const model = findModel(name) as Model;
  const around: Surroundings = { shape: model, earlier: [], settleGrace: GRACE_S * SECOND };
  const versionAt = (record: JsonObject, observedAt: number) => credible(versionOf(model, record, zone), observedAt);

  /** The entity called `name`, changed `version` seconds after eleven o'clock. */
  const state = (name: string, version = 0, more: JsonObject = {}): JsonObject => {
    const time = new Date(Date.parse('2026-06-01T11:00:00Z') + version * 1_000).toISOString();
    const updated_date = `${time.slice(0, 10)} ${time.slice(11, 19)}`;
    return model.version === null ? { id: 7, name, ...more } : { id: 7, name, updated_date, ...more };
  };
  const row = (record: JsonObject, observed = 0, deleted: number | null = null): Row =>
    completeRow(
      { record, observedAt: at(observed), source: 'webhook', deletedAt: deleted === null ? null : at(deleted) },
      { model, shape: model, zone },
    );
  const announced = (record: JsonObject, previous: JsonObject | null = null, observed = 10): Announced => ({
    says: 'announced',
    record,
    previous,
    version: versionAt(record, at(observed)),
    observedAt: at(observed),
    link: linkOf(model, record, previous, false),
  });
  const deleted = (previous: JsonObject | null, observed = 10): Observation => ({
    says: 'deleted',
    previous,
    version: previous === null ? null : versionAt(previous, at(observed)),
    observedAt: at(observed),
  });
  const present = (record: JsonObject, observed: number, options: Partial<Present> = {}): Present => ({
    says: 'present',
    record,
    version: versionAt(record, at(observed)),
    observedAt: at(observed),
    whole: false,
    settling: false,
    ...options,
  });
  const absent = (observed: number): Observation => ({ says: 'absent', observedAt: at(observed) });
  /** A delivery that the ledger remembers, a creation where it has no state before; `applied` ones have no record at hand. */
  const earlier = (record: JsonObject, previous: JsonObject | null, applied = true): Earlier => ({
    link: linkOf(model, record, previous, previous === null),
    version: versionAt(record, at(0)),
    record: applied ? null : record,
  });
  return { model, around, state, row, announced, deleted, present, absent, earlier };
}

/** Writes observations alone; answers with their verdicts. */
export const writeAlone = (tx: Transaction, observed: readonly Observed[], context: WriterContext) =>
  writeObservations(tx, { subjects: observed, observed }, context, (verdicts) => verdicts);
