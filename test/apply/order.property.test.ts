/** Order-free: any permutation and repetition of a history's deliveries ends, once settled, in the source's row. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FoldContext, fold } from '../../src/apply/fold.ts';
import type { Kin, Observation, Row } from '../../src/apply/observation.ts';
import { linkOf } from '../../src/apply/tie.ts';
import { findModel } from '../../src/catalog/index.ts';
import type { Model } from '../../src/catalog/types.ts';
import { versionOf } from '../../src/catalog/version.ts';
import { createZone } from '../../src/catalog/zone.ts';
import type { JsonObject } from '../../src/json.ts';

const zone = createZone('Europe/Berlin');
const RUNS = Number(process.env.FLOWLU_MIRROR_TEST_RUNS ?? 3_000);
const SECOND = 1_000_000;
/** Long after every version that occurs, so that all of them are believed. */
const NOW = Date.parse('2026-11-01T00:00:00Z') * 1_000;

interface Change {
  readonly action: 'create' | 'update' | 'delete';
  readonly current: JsonObject | null;
  readonly previous: JsonObject | null;
}

interface Step {
  readonly name: string;
  readonly secondsLater: number;
}

/** Few names and short distances: states come again, and several share a second. */
const steps = fc.array(
  fc.record({ name: fc.constantFrom('A', 'B', 'C'), secondsLater: fc.constantFrom(0, 0, 0, 1, 1_800) }),
  { minLength: 0, maxLength: 6 },
);

function historyOf(model: Model, walk: readonly Step[], deleted: boolean, tellsPrevious: boolean) {
  // Begins shortly before the clock is set back, so that some histories run through the repeated hour.
  let seconds = 1 * 3_600 + 59 * 60;
  const stamp = () => {
    const wall = seconds < 3 * 3_600 ? seconds : seconds - 3_600;
    const part = (value: number) => String(Math.floor(value) % 60).padStart(2, '0');
    return `2026-10-25 ${String(Math.floor(wall / 3_600)).padStart(2, '0')}:${part(wall / 60)}:${part(wall)}`;
  };
  const stateOf = (name: string): JsonObject =>
    model.version === null ? { id: 7, name } : { id: 7, name, [model.version]: stamp() };
  let state = stateOf('A');
  const changes: Change[] = [{ action: 'create', current: state, previous: null }];
  for (const { name, secondsLater } of walk) {
    seconds += secondsLater;
    const next = stateOf(name);
    changes.push({ action: 'update', current: next, previous: tellsPrevious ? state : null });
    state = next;
  }
  if (deleted) changes.push({ action: 'delete', current: null, previous: state });
  return { changes, state, deleted };
}

function observationOf(change: Change, model: Model, observedAt: number): Observation {
  if (change.action === 'delete') {
    const { previous } = change;
    return { says: 'deleted', previous, version: previous && versionOf(model, previous, zone), observedAt };
  }
  const record = change.current as JsonObject;
  const link = linkOf(model, record, change.previous);
  return {
    says: 'announced',
    record,
    previous: change.previous,
    version: versionOf(model, record, zone),
    observedAt,
    link,
  };
}

/** Delivers in batches as replicas would: what earlier batches brought is kin to the later ones. */
function deliver(model: Model, deliveries: readonly Change[], batchSize: number) {
  const context: FoldContext = { model, shape: model, zone, settleGrace: 60 * SECOND };
  let row: Row | null = null;
  let kin: Kin[] = [];
  let doubtful = false;
  for (let start = 0; start < deliveries.length; start += batchSize) {
    const seen = deliveries
      .slice(start, start + batchSize)
      .map((change, index) => observationOf(change, model, NOW + (start + index) * SECOND));
    const folded = fold(row, seen, kin, context);
    row = folded.row ?? row;
    doubtful ||= folded.verdicts.some(({ doubt }) => doubt !== null);
    const told = seen.flatMap((one, index): Kin[] => {
      const kept = folded.verdicts[index]?.decision === 'kept';
      return one.says === 'announced'
        ? [{ link: one.link, version: one.version, record: kept ? one.record : null }]
        : [];
    });
    kin = [...kin, ...told].slice(-64);
  }
  return { row, doubtful, context };
}

function settle(row: Row | null, truth: { state: JsonObject; deleted: boolean }, context: FoldContext): Row | null {
  const observedAt = NOW + 1_000_000 * SECOND;
  const seen: Observation = truth.deleted
    ? { says: 'absent', observedAt }
    : {
        says: 'present',
        record: truth.state,
        version: versionOf(context.model, truth.state, zone),
        observedAt,
        whole: true,
        settling: true,
      };
  return fold(row, [seen], [], context).row ?? row;
}

describe.each(['crm.account', 'crm.loss_reason'])('%s: deliveries in any order, some of them twice', (name) => {
  const model = findModel(name) as Model;

  it('end in the source row, after the API has settled what was doubtful', () => {
    fc.assert(
      fc.property(
        steps,
        fc.boolean(),
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 9 }),
        (walk, deleted, tellsPrevious, repeats, ranks, batchSize) => {
          const truth = historyOf(model, walk, deleted, tellsPrevious);
          const repeated = repeats.map((pick) => truth.changes[pick % truth.changes.length] as Change);
          const deliveries = [...truth.changes, ...repeated]
            .map((change) => ({ change, rank: ranks.next().value as number }))
            .sort((a, b) => a.rank - b.rank)
            .map(({ change }) => change);
          const { row, doubtful, context } = deliver(model, deliveries, batchSize);
          const settled = doubtful ? settle(row, truth, context) : row;
          expect(settled?.deletedAt !== null, 'deleted').toBe(truth.deleted);
          if (!truth.deleted) expect(settled?.record).toEqual(truth.state);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('leave nothing doubtful when they come once each, in order, and no state returns within a version', () => {
    const truth = historyOf(
      model,
      [
        { name: 'B', secondsLater: 0 },
        { name: 'C', secondsLater: 0 },
      ],
      false,
      true,
    );
    const { row, doubtful } = deliver(model, truth.changes, 2);
    expect(doubtful).toBe(false);
    expect(row?.record).toEqual(truth.state);
  });
});
