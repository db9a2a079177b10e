/** From verdicts to what the history keeps. */
import { describe, expect, it } from 'vitest';
import { changesOf } from '../../src/merge/rule/changes.ts';
import { fold } from '../../src/merge/rule/fold.ts';
import type { Observation, Row } from '../../src/merge/rule/observation.ts';
import { at, SECOND, worldOf, zone } from './world.ts';

const HOUR_BEFORE = -3_600;

describe.each(['crm.account', 'crm.loss_reason'] as const)('of %s', (name) => {
  const { model, state, row, announced, deleted, present, absent } = worldOf(name);
  const context = { model, shape: model, zone, settleGrace: 60 * SECOND };
  const isVersioned = model.version !== null;
  /** The version of a state, on the clock of `at`. */
  const version = (seconds: number) => (isVersioned ? at(HOUR_BEFORE + seconds) : null);
  const changes = (held: Row | null, ...seen: Observation[]) =>
    changesOf(held, seen, fold(held, seen, [], context), context);
  const stamp = (seconds: number) =>
    isVersioned ? { updated_date: `2026-06-01 11:00:${String(seconds).padStart(2, '0')}` } : {};

  it('an update keeps the changed fields alone, with both times and those of the state that it ended', () => {
    const held = row(state('A', 5, { email: 'a@example.com' }), 0);
    expect(changes(held, announced(state('B', 6), state('A', 5), 10))).toEqual([
      {
        kind: 'updated',
        version: version(6),
        observedAt: at(10),
        path: 'webhook',
        before: { name: 'A', ...stamp(5) },
        after: { name: 'B', ...stamp(6) },
        priorVersion: version(5),
        priorObservedAt: at(0),
      },
    ]);
  });

  it('each change of a batch is kept, not only their sum', () => {
    const [a, b, c] = [state('A', 5), state('B', 6), state('C', 7)];
    const seen = [announced(b, a, 10), announced(c, b, 10), deleted(c, 10)];
    expect(changes(row(a), ...seen).map(({ kind, after }) => [kind, after?.name])).toEqual([
      ['updated', 'B'],
      ['updated', 'C'],
      ['deleted', undefined],
    ]);
  });

  it('what changes nothing by meaning is none, whatever its spelling or path', () => {
    const held = row(state('A', 5, { active: 1, description: '' }));
    expect(changes(held, announced(state('A', 5, { active: '1' }), null, 10))).toEqual([]);
    expect(changes(held, present(state('A', 5, { active: true }), 10))).toEqual([]);
    expect(
      changes(held, present(state('A', 5, { active: '1', description: '' }), 100, { whole: true, settling: true })),
    ).toEqual([]);
    expect(changes(held, deleted(null, 10), absent(20)).map(({ kind }) => kind)).toEqual(['deleted']);
  });

  it('a record first met through the API has not changed, one announced as new has', () => {
    expect(changes(null, present(state('A', 5), 10))).toEqual([]);
    const birth = { ...announced(state('A', 5), null, 10) };
    expect(
      changes(null, { ...birth, link: { from: '00000000-0000-0000-0000-000000000000', to: birth.link.to } }),
    ).toEqual([
      {
        kind: 'created',
        version: version(5),
        observedAt: at(10),
        path: 'webhook',
        before: null,
        after: null,
        priorVersion: null,
        priorObservedAt: null,
      },
    ]);
  });

  it('a record first met by the webhook of an update has the state before, as far as that tells', () => {
    const [change, ...others] = changes(null, announced(state('B', 6, { email: 'x' }), state('A', 5), 10));
    expect(others).toEqual([]);
    expect(change).toMatchObject({
      kind: 'updated',
      before: { name: 'A', ...stamp(5) },
      after: { name: 'B', ...stamp(6) },
      priorVersion: version(5),
      priorObservedAt: null,
    });
    expect(changes(null, announced(state('B', 6), null, 10))).toMatchObject([
      { kind: 'updated', before: null, priorVersion: null },
    ]);
  });

  it('a deletion that tells of a state unheard of gives that state first', () => {
    const held = row(state('A', 5), 0);
    expect(changes(held, deleted(state('B', 6), 10))).toMatchObject([
      { kind: 'updated', before: { name: 'A' }, after: { name: 'B' }, version: version(6), priorObservedAt: at(0) },
      { kind: 'deleted', before: null, version: null, priorVersion: version(6), priorObservedAt: at(10) },
    ]);
  });

  it('a record that comes back has no time of its own unless its version is newer than the deletion', () => {
    const held = row(state('A', 5), 0, 20);
    expect(changes(held, present(state('A', 5), 30))).toMatchObject([
      { kind: 'revived', version: null, observedAt: at(30), path: 'list' },
    ]);
    const later = state('A', 3_630);
    expect(changes(held, present(later, 40))).toMatchObject([{ kind: 'revived', version: version(3_630) }]);
  });
});

describe('a reading of the same version that shows other fields', () => {
  const { model, state, row, present, announced } = worldOf('crm.account');
  const context = { model, shape: model, zone, settleGrace: 60 * SECOND };
  const changes = (held: Row, seen: Observation) => changesOf(held, [seen], fold(held, [seen], [], context), context);

  it('knows more, but nothing happened', () => {
    const held = row(state('A', 5, { email: 'a@example.com' }));
    expect(changes(held, present(state('A', 5, { phone: '1' }), 10))).toEqual([]);
    expect(changes(held, present(state('A', 5), 100, { whole: true, settling: true }))).toEqual([]);
  });

  it('is a change where a value differs too, or where a webhook says so', () => {
    const held = row(state('A', 5));
    expect(changes(held, present(state('B', 5, { phone: '1' }), 10))).toMatchObject([
      { before: { name: 'A', phone: null }, after: { name: 'B', phone: '1' } },
    ]);
    expect(changes(held, announced(state('A', 5, { phone: '1' }), state('A', 5), 10))).toMatchObject([
      { before: { phone: null }, after: { phone: '1' } },
    ]);
  });
});
