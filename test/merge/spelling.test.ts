/** Webhooks that spell texts otherwise than the API: one content, whatever path it comes by. */
import { describe, expect, it } from 'vitest';
import { fold } from '../../src/merge/rule/fold.ts';
import type { Observation, Row } from '../../src/merge/rule/observation.ts';
import { plainText, SPELLING, type WebhookTexts } from '../../src/merge/rule/spelling.ts';
import { at, GRACE_S, SECOND, worldOf, zone } from './world.ts';

const { model, state, row, announced, deleted } = worldOf('crm.account');
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

  it('are taken as they come, and the API is asked, while nothing is known of the portal', () => {
    const { row: next, verdicts } = run(null, [announced(state('A &amp; B', 1), null, 1)]);
    expect([next?.record.name, verdicts[0]?.doubt]).toEqual(['A &amp; B', SPELLING]);
    expect(next?.observedAt).toBe(at(1));
  });
});
