/** Single scenes of deliveries that come in batches of their own: what the ledger remembers orders them. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage('crm.loss_reason');
});
beforeEach(async () => {
  await stage.empty();
  await stage.at('2026-06-10T09:00:00Z');
});
afterAll(() => stage.close());

async function held(): Promise<{ name: string; doubtful: boolean }> {
  const [row] = await stage.database.sql`
    select name, exists (select from sync.doubtful) as doubtful from flowlu.crm_loss_reason where id = 1`;
  return row as unknown as { name: string; doubtful: boolean };
}

describe('deliveries about a record without versions, each in a batch of its own', () => {
  it('that return to an earlier state, the way there last, leave the row to the API', async () => {
    const being = stage.bear(1);
    await stage.sweep();
    await stage.clock.advance(1);
    const there = stage.rename(being, 'B');
    const back = stage.rename(being, 'A');
    await stage.deliver(back, there);
    expect((await held()).doubtful).toBe(true);
    await stage.clock.advance(120);
    await stage.settle();
    expect(await held()).toEqual({ name: 'A', doubtful: false });
  });

  it('that lie before what the row holds are stale without a question', async () => {
    const being = stage.bear(1);
    await stage.sweep();
    await stage.clock.advance(1);
    const first = stage.rename(being, 'B');
    const second = stage.rename(being, 'C');
    const third = stage.rename(being, 'D');
    await stage.deliver(first, third);
    await stage.deliver(second);
    const { doubtful: open } = await held();
    await stage.clock.advance(120);
    await stage.settle();
    expect(await held()).toEqual({ name: 'D', doubtful: false });
    expect(open).toBe(true);
    const [row] = await stage.database.sql`select decision from sync.deliveries order by id desc limit 1`;
    expect(row?.decision).toBe('stale');
  });

  it('that no longer arrive are made up for by a single reading of the list', async () => {
    const being = stage.bear(1);
    await stage.sweep();
    await stage.clock.advance(1);
    stage.rename(being, 'B');
    await stage.deliver(stage.rename(being, 'C'));
    await stage.clock.advance(5);
    await stage.sweep();
    expect((await held()).name).toBe('C');
  });
});
