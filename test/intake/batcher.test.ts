/** Group commit: order within an entity, bounds, and that nobody waits for ever. */
import { describe, expect, it } from 'vitest';
import { type BatcherOptions, createBatcher, QueueFullError } from '../../src/intake/batcher.ts';

interface Item {
  readonly key: string;
  readonly n: number;
  readonly weight?: number;
}

function recorder(
  options: {
    maxQueued?: number;
    maxQueuedOfSource?: number;
    maxBatch?: number;
    maxWeight?: number;
    smallWeight?: number;
    lanes?: number;
    fail?: (batch: readonly Item[]) => boolean;
    until?: (batch: readonly Item[]) => Promise<unknown>;
  } = {},
) {
  const batches: Item[][] = [];
  const limits = {
    maxQueued: options.maxQueued ?? 1_000,
    maxQueuedOfSource: options.maxQueuedOfSource ?? 1_000,
    maxBatch: options.maxBatch ?? 10,
    lanes: options.lanes ?? 2,
    maxQueuedWeight: options.maxWeight ?? 1_000,
    maxBatchWeight: options.maxWeight ?? 1_000,
    smallWeight: options.smallWeight ?? 1,
  };
  const work: BatcherOptions<Item> = {
    sourceOf: ({ key }) => key,
    weightOf: ({ weight = 1 }) => weight,
    keyOf: ({ key }) => key,
    async flush(batch) {
      batches.push([...batch]);
      await new Promise((resolve) => setImmediate(resolve));
      await options.until?.(batch);
      if (options.fail?.(batch)) throw new Error('refused');
      return batch.map(({ key, n }) => `${key}${n}`);
    },
  };
  return { batcher: createBatcher(work, limits), batches };
}

describe('the batcher', () => {
  it('answers each item with its own id and keeps the order of one entity, in batches of the bound', async () => {
    const { batcher, batches } = recorder();
    const items = Array.from({ length: 100 }, (_, n) => ({ key: `k${n % 7}`, n }));
    expect(await Promise.all(items.map((item) => batcher.add(item)))).toEqual(items.map(({ key, n }) => `${key}${n}`));
    expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(10);
    for (const key of new Set(items.map((item) => item.key))) {
      const order = batches.flat().filter((item) => item.key === key);
      expect(order).toEqual(items.filter((item) => item.key === key));
    }
  });

  it('takes up an item that is added in the very turn in which its lane ran empty', async () => {
    const { batcher } = recorder({ lanes: 1 });
    for (let n = 0; n < 20; n += 1) expect(await batcher.add({ key: 'k', n })).toBe(`k${n}`);
    await batcher.idle();
  });

  it('leaves room for the others where one source sends without end', async () => {
    const { batcher } = recorder({ maxQueued: 10, maxQueuedOfSource: 8, maxBatch: 2, lanes: 1 });
    const flood = Array.from({ length: 50 }, (_, n) => batcher.add({ key: 'hot', n }));
    const slow = batcher.add({ key: 'slow', n: 0 });
    const results = await Promise.allSettled(flood);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(8);
    expect(await slow).toBe('slow0');
    // Its places are free again.
    expect(await batcher.add({ key: 'hot', n: 99 })).toBe('hot99');
  });

  it('refuses at once what is beyond its bound, and nothing else', async () => {
    const { batcher } = recorder({ maxQueued: 5, lanes: 1 });
    const results = await Promise.allSettled(Array.from({ length: 8 }, (_, n) => batcher.add({ key: 'k', n })));
    expect(results.map(({ status }) => status)).toEqual([...Array(5).fill('fulfilled'), ...Array(3).fill('rejected')]);
    expect(results.at(-1)).toMatchObject({ reason: expect.any(QueueFullError) });
    expect(await batcher.add({ key: 'k', n: 9 })).toBe('k9');
  });

  it('bounds what waits by weight too, but always takes one item', async () => {
    const { batcher, batches } = recorder({ maxWeight: 10, smallWeight: 0, lanes: 1 });
    const heavy = (n: number, weight: number) => batcher.add({ key: 'k', n, weight });
    expect(await heavy(0, 50)).toBe('k0');
    const results = await Promise.allSettled([heavy(1, 6), heavy(2, 4), heavy(3, 1)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(batches.map((batch) => batch.map(({ n }) => n))).toEqual([[0], [1, 2]]);
  });

  it('lets small items pass heavy ones, but none that is about the same', async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { batcher, batches } = recorder({
      maxBatch: 1,
      until: (batch) => (batch.some(({ weight = 1 }) => weight > 1) ? gate : Promise.resolve()),
    });
    const heavy = batcher.add({ key: 'a', n: 0, weight: 500 });
    const behind = batcher.add({ key: 'a', n: 1 });
    const others = Array.from({ length: 20 }, (_, n) => batcher.add({ key: `b${n}`, n }));
    await Promise.all(others);
    expect(batches.flat().some(({ key, n }) => key === 'a' && n === 1)).toBe(false);
    // The other way round: what is heavy stays behind small ones of its key.
    const small = batcher.add({ key: 'c', n: 0 });
    const after = batcher.add({ key: 'c', n: 1, weight: 500 });
    await small;
    open();
    await Promise.all([heavy, behind, after]);
    for (const key of ['a', 'c'])
      expect(
        batches
          .flat()
          .filter((item) => item.key === key)
          .map(({ n }) => n),
      ).toEqual([0, 1]);
    await batcher.idle();
    expect(await batcher.add({ key: 'c', n: 2, weight: 500 })).toBe('c2');
  });

  it('lets a batch that fails reject its own items only', async () => {
    const { batcher } = recorder({ maxBatch: 2, lanes: 1, fail: (batch) => batch.some(({ n }) => n === 2) });
    const results = await Promise.allSettled(Array.from({ length: 6 }, (_, n) => batcher.add({ key: 'k', n })));
    expect(results.map(({ status }) => status === 'fulfilled')).toEqual([true, true, false, false, true, true]);
  });
});
