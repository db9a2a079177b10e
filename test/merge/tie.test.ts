/** Ties: equal versions, or none. Content orders the deliveries where it can; else the row becomes doubtful. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/merge/rule/decide.ts';
import type { Announced, Earlier, Row } from '../../src/merge/rule/observation.ts';
import { worldOf } from './world.ts';

describe.each(['crm.account', 'crm.loss_reason'] as const)('in %s, deliveries of one version', (name) => {
  const { state, row, announced, earlier, around, model } = worldOf(name);
  const [a, b, c, d] = [state('A', 5), state('B', 5), state('C', 5), state('D', 5)];
  const tie = (before: Row, seen: Announced, known: readonly Earlier[] = []) =>
    decide(before, seen, { ...around, earlier: known });

  it('that tell what the row holds already are duplicates', () => {
    expect(tie(row(b), announced(b, a), [earlier(b, a)])).toEqual({ decision: 'duplicate', row: null, doubt: null });
    expect(tie(row({ ...b, email: 'x' }), announced(b, a))).toEqual({ decision: 'duplicate', row: null, doubt: null });
  });

  it('that follow on what the row holds are applied', () => {
    expect(tie(row(a), announced(b, a), [earlier(a, null)])).toMatchObject({
      decision: 'updated',
      doubt: null,
      row: { record: b },
    });
  });

  it('that follow on it take with them what was waiting for them: A→B arrives after B→C, and C is the end', () => {
    expect(tie(row(a), announced(b, a), [earlier(c, b, false)])).toMatchObject({
      decision: 'updated',
      doubt: null,
      row: { record: c },
    });
  });

  it('that lie before what the row holds are stale: A→B arrives after B→C was applied', () => {
    expect(tie(row(c), announced(b, a), [earlier(c, b)])).toEqual({ decision: 'stale', row: null, doubt: null });
  });

  it('that no path links leave the row doubtful', () => {
    const verdict = tie(row(a), announced(d, c), [earlier(a, null)]);
    expect(verdict.doubt).not.toBeNull();
    // Equal versions: what stands is as good. No versions: the newest arrival is the better guess.
    expect(verdict.decision).toBe(model.version === null ? 'updated' : 'kept');
  });

  it('that do not tell the state before them leave the row doubtful', () => {
    expect(tie(row(a), announced(b, null), [earlier(a, null)]).doubt).not.toBeNull();
    expect(tie(row(a), announced(b, {}), [earlier(a, null)]).doubt).not.toBeNull();
  });

  it('that return to an earlier state leave the row doubtful, whatever becomes of it', () => {
    expect(tie(row(b), announced(a, b), [earlier(a, null), earlier(b, a)]).doubt).not.toBeNull();
    // The second arrival of A→B, after B→A: repeated, or really again?
    expect(tie(row(a), announced(b, a), [earlier(b, a), earlier(a, b)]).doubt).not.toBeNull();
  });

  it('that were seen before are never applied again once the row has moved on', () => {
    const verdict = tie(row(c), announced(b, a), [earlier(b, a), earlier(c, b)]);
    expect(verdict).toMatchObject({ decision: 'stale', row: null });
    expect(verdict.doubt).not.toBeNull();
  });

  it('that change nothing (B→B) are duplicates and break no path', () => {
    expect(tie(row(b), announced(b, b), [earlier(b, a)])).toEqual({ decision: 'duplicate', row: null, doubt: null });
  });

  it('that two ways lead on from one state leave the row doubtful', () => {
    expect(tie(row(b), announced(c, a), [earlier(b, a)]).doubt).not.toBeNull();
  });

  it('that run in a circle end, and leave the row doubtful', () => {
    const circle = [earlier(b, a), earlier(c, b), earlier(a, c)];
    expect(tie(row(d), announced(b, a), circle).doubt).not.toBeNull();
    expect(tie(row(a), announced(b, a), circle).doubt).not.toBeNull();
  });
});

describe('deliveries of other versions', () => {
  const { state, row, announced, earlier, around } = worldOf('crm.account');

  it('are no earlier deliveries of it: a state that came back in a later second is no return within one', () => {
    const [a, b] = [state('A', 5), state('B', 6)];
    const before = row(b);
    const back = announced(state('A', 6), b);
    expect(decide(before, back, { ...around, earlier: [earlier(a, null), earlier(b, a)] })).toMatchObject({
      decision: 'updated',
      doubt: null,
    });
  });

  it('count as equal within the hour that a zone repeats', async () => {
    const { createZone } = await import('../../src/record/zone.ts');
    const berlin = createZone('Europe/Berlin');
    const at = (time: string) => berlin.resolve(`2026-10-25 ${time}`);
    const before = { ...row(state('A')), version: at('02:50:00') };
    const seen = { ...announced(state('B'), null), version: at('02:10:00') };
    expect(decide(before, seen, around).doubt).not.toBeNull();
    expect(decide(before, { ...seen, version: at('01:59:59') }, around).decision).toBe('stale');
    expect(decide(before, { ...seen, version: at('03:00:00') }, around).decision).toBe('updated');
  });
});
