/** The tables of the merge rules, line by line. Ties have a file of their own. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/merge/rule/decide.ts';
import type { Observation, Row } from '../../src/merge/rule/observation.ts';
import { at, GRACE_S, worldOf } from './world.ts';

const dated = worldOf('crm.account');
const undated = worldOf('crm.loss_reason');
const { state, row, announced, deleted, present, absent, around } = dated;
const rule = (before: Row | null, seen: Observation) => decide(before, seen, around);
const bare = (before: Row | null, seen: Observation) => decide(before, seen, undated.around);

describe('a webhook that says present', () => {
  it('inserts what was never heard of', () => {
    const verdict = rule(null, announced(state('A', 5)));
    expect(verdict).toMatchObject({ decision: 'inserted', doubt: null });
    expect(verdict.row).toEqual({ record: state('A', 5), observedAt: at(10), source: 'webhook', deletedAt: null });
  });

  it('applies a newer version, and keeps what the webhook does not tell', () => {
    const before = row(state('A', 5, { email: 'a@example.com' }));
    const verdict = rule(before, announced(state('B', 6)));
    expect(verdict).toMatchObject({ decision: 'updated', doubt: null });
    expect(verdict.row?.record).toEqual(state('B', 6, { email: 'a@example.com' }));
  });

  it('keeps the row where an older version arrives', () => {
    expect(rule(row(state('B', 6)), announced(state('A', 5)))).toEqual({ decision: 'stale', row: null, doubt: null });
  });

  it('applies a newer version even where its arrival is not later: the source orders, not the network', () => {
    expect(rule(row(state('A', 5), 100), announced(state('B', 6), null, 10))).toMatchObject({ decision: 'updated' });
  });

  it('never resurrects a deleted row with a version that is not newer than its tombstone', () => {
    const tombstone = row(state('B', 6), 0, 1);
    for (const version of [4, 6]) {
      expect(rule(tombstone, announced(state('C', version)))).toEqual({ decision: 'stale', row: null, doubt: null });
    }
  });

  it('revives a deleted row with a newer version, and doubts it', () => {
    const verdict = rule(row(state('B', 6), 0, 1), announced(state('C', 7)));
    expect(verdict).toMatchObject({ decision: 'revived', row: { deletedAt: null, record: state('C', 7) } });
    expect(verdict.doubt).not.toBeNull();
  });

  it('keeps a row deleted where no versions order the two, and doubts it', () => {
    const cases = [
      bare(undated.row(undated.state('A'), 0, 1), undated.announced(undated.state('A'))),
      rule(row({ id: 7, name: 'no version' }, 0, 1), announced(state('A', 5))),
      rule(row(state('A', 5), 0, 1), announced({ id: 7, name: 'no version' })),
    ];
    for (const verdict of cases) {
      expect(verdict).toMatchObject({ decision: 'kept', row: null });
      expect(verdict.doubt).not.toBeNull();
    }
  });

  it('lets a version more than a day ahead of its arrival decide nothing, so that no wrong date freezes a row', () => {
    const future = { ...state('F'), updated_date: '2099-01-01 00:00:00' };
    const frozen = row(future);
    expect(frozen.version).toBeNull();
    expect(rule(frozen, announced(state('B', 6), future))).toMatchObject({ decision: 'updated', doubt: null });
    // Within the day it is a version like any other.
    const ahead = { ...state('A'), updated_date: '2026-06-02 11:59:00' };
    expect(rule(row(ahead), announced(state('B', 6)))).toMatchObject({ decision: 'stale' });
  });

  it('keeps and doubts a row of which it speaks in words that the mirror does not know', () => {
    const unclear: Observation = { says: 'unclear', reason: 'no new state', observedAt: at(10) };
    for (const before of [null, row(state('A')), row(state('A'), 0, 1)]) {
      expect(rule(before, unclear)).toEqual({ decision: 'kept', row: null, doubt: 'no new state' });
    }
  });
});

describe('a webhook that says absent', () => {
  it('leaves a tombstone with the last state where the row was never heard of', () => {
    const verdict = rule(null, deleted(state('A', 5)));
    expect(verdict).toMatchObject({ decision: 'tombstoned', doubt: null });
    expect(verdict.row).toEqual({ record: state('A', 5), observedAt: at(10), source: 'webhook', deletedAt: at(10) });
    expect(rule(null, deleted(null))).toMatchObject({ row: { record: {}, deletedAt: at(10) } });
  });

  it('tombstones a live row that is older, as old, or that no version orders; the greater version stays', () => {
    for (const previous of [state('B', 6), state('A', 5), { id: 7 }, null]) {
      const verdict = rule(row(state('A', 5)), deleted(previous));
      expect(verdict).toMatchObject({ decision: 'tombstoned', doubt: null, row: { deletedAt: at(10) } });
      expect(verdict.row?.record).toEqual({ ...state('A', 5), ...previous });
    }
    expect(bare(undated.row(undated.state('A')), undated.deleted(undated.state('B')))).toMatchObject({
      decision: 'tombstoned',
      doubt: null,
    });
  });

  it('keeps a live row that is newer than what was deleted, and doubts it', () => {
    const verdict = rule(row(state('B', 6)), deleted(state('A', 5)));
    expect(verdict).toMatchObject({ decision: 'kept', row: null });
    expect(verdict.doubt).not.toBeNull();
  });

  it('changes nothing about a row that is deleted already', () => {
    expect(rule(row(state('A', 5), 0, 1), deleted(state('B', 6)))).toEqual({
      decision: 'duplicate',
      row: null,
      doubt: null,
    });
  });
});

describe('the API that says present', () => {
  it('inserts what was never heard of', () => {
    expect(rule(null, present(state('A'), 5)).row).toEqual({
      record: state('A'),
      observedAt: at(5),
      source: 'api',
      deletedAt: null,
    });
  });

  it('applies different content that is as old or newer, read after the row was observed', () => {
    for (const version of [5, 6]) {
      const verdict = rule(row(state('A', 5), 0), present(state('B', version), 1));
      expect(verdict).toMatchObject({ decision: 'updated', doubt: null, row: { source: 'api', observedAt: at(1) } });
    }
    expect(bare(undated.row(undated.state('A'), 0), undated.present(undated.state('B'), 1))).toMatchObject({
      decision: 'updated',
      doubt: null,
    });
  });

  it('writes nothing where the content is the same, however it is spelt', () => {
    const before = row(state('A', 5, { owner_id: 3, active: 1, vat: 'DE1' }), 0);
    const spelt = state('A', 5, { owner_id: '3', active: true, VAT: 'DE1' });
    expect(rule(before, present(spelt, 1))).toEqual({ decision: 'unchanged', row: null, doubt: null });
  });

  it('keeps the row where a later reading tells an older version, and doubts it', () => {
    const verdict = rule(row(state('B', 6), 0), present(state('A', 5), 1));
    expect(verdict).toMatchObject({ decision: 'kept', row: null });
    expect(verdict.doubt).not.toBeNull();
  });

  it('applies a newer version although the reading began before the row was observed', () => {
    expect(rule(row(state('A', 5), 10), present(state('B', 6), 1))).toMatchObject({ decision: 'updated', doubt: null });
  });

  it('doubts a row where a reading that crossed its webhook tells other content for the same version', () => {
    const verdict = rule(row(state('B', 6), 10), present(state('A', 6), 1));
    expect(verdict).toMatchObject({ decision: 'kept', row: null });
    expect(verdict.doubt).not.toBeNull();
    expect(rule(row(state('B', 6), 10), present(state('B', 6), 1))).toEqual({
      decision: 'unchanged',
      row: null,
      doubt: null,
    });
  });

  it('is ignored where the reading began before the row was observed and is older, or no version orders the two', () => {
    const ignored = { decision: 'ignored', row: null, doubt: null };
    expect(rule(row(state('B', 6), 10), present(state('A', 5), 1))).toEqual(ignored);
    expect(bare(undated.row(undated.state('B'), 10), undated.present(undated.state('A'), 1))).toEqual(ignored);
    // The same moment is not after it.
    expect(bare(undated.row(undated.state('B'), 10), undated.present(undated.state('A'), 10))).toEqual(ignored);
  });

  it('revives a row when the reading began after its deletion was observed, and only then', () => {
    const tombstone = row(state('A', 5), 10, 10);
    expect(rule(tombstone, present(state('A', 5), 11))).toMatchObject({
      decision: 'revived',
      doubt: null,
      row: { deletedAt: null },
    });
    for (const moment of [9, 10]) {
      expect(rule(tombstone, present(state('B', 9), moment))).toMatchObject({ decision: 'ignored', row: null });
    }
  });

  it('is right whatever the version when it settles a doubt and the grace is over', () => {
    const before = row(state('B', 6), 0);
    const settling = { settling: true, whole: true };
    expect(rule(before, present(state('A', 5), GRACE_S, settling))).toMatchObject({
      decision: 'updated',
      doubt: null,
      row: { record: state('A', 5) },
    });
    expect(rule(before, present(state('A', 5), GRACE_S - 1, settling))).toMatchObject({ decision: 'kept', row: null });
  });

  it('confirms what only a webhook has told, once, where it was made to settle', () => {
    const before = row(state('A', 5), 0);
    expect(rule(before, present(state('A', 5), 1, { whole: true }))).toMatchObject({ row: null });
    const { row: after } = rule(before, present(state('A', 5), 1, { settling: true, whole: true }));
    expect(after).toMatchObject({ record: state('A', 5), source: 'api' });
    const known = { ...before, source: 'api' } as const;
    expect(rule(known, present(state('A', 5), 2, { settling: true, whole: true }))).toMatchObject({ row: null });
  });

  it('replaces the record by a single read, and leaves the keys that a list does not show', () => {
    const before = row(state('A', 5, { email: 'a@example.com', cf_3: 'x' }), 0);
    const read = state('A', 6, { email: 'b@example.com' });
    expect(rule(before, present(read, 1, { whole: true })).row?.record).toEqual(read);
    expect(rule(before, present(read, 1)).row?.record).toEqual({ ...read, cf_3: 'x' });
  });
});

describe('the API that says absent', () => {
  it('tombstones a live row that was observed before the question, and keeps its last values', () => {
    const verdict = rule(row(state('A', 5), 0), absent(1));
    expect(verdict).toMatchObject({ decision: 'tombstoned', doubt: null });
    expect(verdict.row).toEqual({ record: state('A', 5), observedAt: at(1), source: 'api', deletedAt: at(1) });
  });

  it('is ignored where the row was observed after the question, or in the same moment', () => {
    for (const moment of [5, 6]) {
      expect(rule(row(state('A', 5), 6), absent(moment))).toEqual({ decision: 'ignored', row: null, doubt: null });
    }
  });

  it('agrees with a row that is deleted, and with none at all', () => {
    for (const before of [null, row(state('A', 5), 0, 1)]) {
      expect(rule(before, absent(9))).toEqual({ decision: 'unchanged', row: null, doubt: null });
    }
  });
});

describe('a row that was erased', () => {
  const erased: Row = { ...row({ id: 7 }, 5, 5), source: 'erased' };

  it('is left alone by everything that a webhook can say, without a doubt', () => {
    const unclear: Observation = { says: 'unclear', reason: 'no new state', observedAt: at(10) };
    for (const seen of [
      announced(state('B', 9)),
      announced(state('B', 9), state('A', 8)),
      deleted(state('A', 5)),
      unclear,
    ]) {
      expect(rule(erased, seen)).toEqual({ decision: 'erased', row: null, doubt: null });
    }
  });

  it('is live again where the API, asked later, has it, and not by an answer from before', () => {
    expect(rule(erased, present(state('A', 5), 6))).toMatchObject({
      decision: 'revived',
      row: { source: 'api', deletedAt: null },
    });
    expect(rule(erased, present(state('A', 5), 5))).toEqual({ decision: 'ignored', row: null, doubt: null });
    expect(rule(erased, absent(6))).toEqual({ decision: 'unchanged', row: null, doubt: null });
  });
});
