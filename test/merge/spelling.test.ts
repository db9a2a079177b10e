/** Webhooks that spell texts otherwise than the API: one content, whatever path it comes by. */
import { describe, expect, it } from 'vitest';
import { changesOf } from '../../src/merge/rule/changes.ts';
import { fold } from '../../src/merge/rule/fold.ts';
import type { Observation, Row } from '../../src/merge/rule/observation.ts';
import { SPELLING, type WebhookTexts } from '../../src/merge/rule/spelling.ts';
import { plainText } from '../../src/record/spelling.ts';
import { at, GRACE_S, SECOND, worldOf, zone } from './world.ts';

const { model, state, row, announced, deleted, present } = worldOf('crm.account');
const confirmed = (record: ReturnType<typeof state>): Row => ({ ...row(record), source: 'api' });
const run = (from: Row | null, seen: readonly Observation[], texts: WebhookTexts = null) =>
  fold(from, seen, [], { model, shape: model, zone, settleGrace: GRACE_S * SECOND, texts });

describe('texts in webhooks', () => {
  it('lose one layer of entities, and the ends of lines of Windows', () => {
    expect(plainText('A &amp; B &lt;&#39;x&#x27;&gt; &amp;amp; &nbsp;\r\n&')).toBe("A & B <'x'> &amp; &nbsp;\n&");
  });

  it('that say what the row says in other characters change nothing, and show how the portal spells', () => {
    const held = confirmed(state('A & B', 1, { description: 'one\ntwo' }));
    const { row: next, verdicts, texts } = run(held, [announced(state('A &amp; B', 1, { description: 'one\r\ntwo' }))]);
    expect([next, verdicts[0]?.decision, verdicts[0]?.doubt, texts]).toEqual([null, 'duplicate', null, 'entities']);
  });

  it('of fields that did change are spelt as the API would, once the portal is known to', () => {
    const held = confirmed(state('A & B', 1));
    const changed = announced(state('A &amp; C', 2), state('A &amp; B', 1));
    expect(run(held, [changed]).row?.record.name).toBe('A & C');
    expect(run(null, [announced(state('A &amp; C', 2))], 'entities').row?.record.name).toBe('A & C');
    expect(run(held, [deleted(state('A &amp; B', 1))]).row?.record.name).toBe('A & B');
  });

  it('are left alone where the API has such characters itself', () => {
    const held = confirmed(state('A &amp; B', 1));
    const { row: next, texts, verdicts } = run(held, [announced(state('A &amp; B', 2))]);
    expect([next?.record.name, texts, verdicts[0]?.doubt]).toEqual(['A &amp; B', 'plain', null]);
  });

  it('of an API that has entities and ends of lines where webhooks have none keep its spelling', () => {
    const held = confirmed(state('A &amp; B', 1, { description: 'one\r\ntwo' }));
    const plain = { description: 'one\ntwo' };
    const same = run(held, [announced(state('A & B', 1, plain))]);
    expect([same.row, same.verdicts[0]?.decision, same.texts]).toEqual([null, 'duplicate', 'decoded']);
    const changed = run(held, [announced(state('A & B', 2, { ...plain, phone: '1' }), state('A & B', 1, plain))]);
    expect(changed.row?.record).toMatchObject({ name: 'A &amp; B', description: 'one\r\ntwo', phone: '1' });
    expect(changed.verdicts[0]?.doubt).toBeNull();
    const { row: next, verdicts } = run(held, [announced(state('A & C', 2, plain))], 'decoded');
    expect([next?.record.name, verdicts[0]?.doubt]).toEqual(['A & C', SPELLING]);
  });

  it('leave no change in the history when the API corrects their spelling', () => {
    const held = row(state('A & C', 2, { description: 'one\ntwo' }));
    const seen = present(state('A &amp; C', 2, { description: 'one\r\ntwo' }), 9, { whole: true });
    const folded = run(held, [seen]);
    expect(folded.row?.record.name).toBe('A &amp; C');
    expect(changesOf(held, [seen], folded, { model, shape: model, zone })).toEqual([]);
  });

  it('are taken as they come, and the API is asked, while nothing is known of the portal', () => {
    const { row: next, verdicts } = run(null, [announced(state('A &amp; B', 1), null, 1)]);
    expect([next?.record.name, verdicts[0]?.doubt]).toEqual(['A &amp; B', SPELLING]);
    expect(next?.observedAt).toBe(at(1));
  });
});
