/**
 * Group commit: deliveries that arrive at the same time share a transaction, and each is answered after it.
 *
 * Lanes work side by side, so that one batch is read and folded while another is flushed to disk. What is heavy has a
 * lane of its own, where it keeps nobody waiting but its like. A delivery goes where others about its entity still are:
 * within a process they never overtake each other.
 */

/** Too many deliveries wait already; the sender should come again. */
export class QueueFullError extends Error {
  override readonly name = 'QueueFullError';
}

export interface BatcherOptions<T> {
  /** Records a batch, in order; answers with one result for each item. */
  readonly flush: (batch: readonly T[]) => Promise<readonly string[]>;
  /** What must stay in order: items with the same key share a lane. */
  readonly keyOf: (item: T) => string;
  /** Whose item it is: no source may fill the queue so that the others find no place in it. */
  readonly sourceOf: (item: T) => string;
  /** What an item weighs in memory; bodies differ by a factor of a thousand. */
  readonly weightOf: (item: T) => number;
  /** Told how many items a batch has, and how many still wait. */
  readonly onBatch?: (size: number, queued: number) => void;
}

/** Of one process; weights in bytes of memory: a body may take 20 megabytes, most take ten kilobytes. */
const LIMITS = {
  /** Items that may wait, over all lanes: fewer than the connections that the listener takes, so that senders can be told. */
  maxQueued: 1_000,
  /** Of these, items of one source: a flood of one leaves room for the others. */
  maxQueuedOfSource: 800,
  maxQueuedWeight: 32 * 2 ** 20,
  /** An item that weighs no more is never too heavy, and shares no lane with those that weigh more. */
  smallWeight: 65_536,
  /** Items and weight of one batch; a single item may weigh more. */
  maxBatch: 200,
  maxBatchWeight: 8 * 2 ** 20,
  /** Lanes for small items; there is one more for the others. */
  lanes: 2,
};

interface Waiting<T> {
  readonly item: T;
  readonly key: string;
  readonly weight: number;
  readonly resolve: (id: string) => void;
  readonly reject: (error: unknown) => void;
}

export function createBatcher<T>(options: BatcherOptions<T>, limits = LIMITS) {
  const lanes = Array.from({ length: limits.lanes + 1 }, (): Waiting<T>[] => []);
  /** Where items of a key wait or are worked on, and how many; keys without any are not in it. */
  const places = new Map<string, { readonly lane: number; items: number }>();
  const running = new Map<number, Promise<void>>();
  const queued = () => lanes.reduce((sum, lane) => sum + lane.length, 0);
  /** How many items of each source wait; sources without any are not in it. */
  const bySource = new Map<string, number>();
  let queuedWeight = 0;

  function count(item: T, by: 1 | -1): void {
    const source = options.sourceOf(item);
    const now = (bySource.get(source) ?? 0) + by;
    if (now > 0) bySource.set(source, now);
    else bySource.delete(source);
  }

  function takeBatch(lane: Waiting<T>[]): Waiting<T>[] {
    let weight = 0;
    let size = 0;
    for (const waiting of lane) {
      if (size === limits.maxBatch || (size > 0 && weight + waiting.weight > limits.maxBatchWeight)) break;
      weight += waiting.weight;
      size += 1;
    }
    queuedWeight -= weight;
    const batch = lane.splice(0, size);
    for (const { item } of batch) count(item, -1);
    return batch;
  }

  /** Finds the lane of an item: that of its key, else the one for heavy items, which is the last, or a small one's own. */
  function enter(key: string, isHeavy: boolean): number {
    const place = places.get(key) ?? { lane: isHeavy ? limits.lanes : laneOf(key, limits.lanes), items: 0 };
    place.items += 1;
    places.set(key, place);
    return place.lane;
  }

  function leave(key: string): void {
    const place = places.get(key);
    if (place === undefined) return;
    place.items -= 1;
    if (place.items === 0) places.delete(key);
  }

  async function run(index: number): Promise<void> {
    const lane = lanes[index] as Waiting<T>[];
    // Deliveries that the same turn of the event loop reads from their sockets travel together.
    await new Promise(setImmediate);
    while (lane.length > 0) {
      const batch = takeBatch(lane);
      options.onBatch?.(batch.length, queued());
      try {
        const ids = await options.flush(batch.map(({ item }) => item));
        for (const [index, waiting] of batch.entries()) waiting.resolve(ids[index] as string);
      } catch (error) {
        for (const waiting of batch) waiting.reject(error);
      }
      for (const { key } of batch) leave(key);
    }
    // In the same turn that saw the lane empty: whoever adds from now on starts it again.
    running.delete(index);
  }

  return {
    /** Resolves with the item's id once it is recorded. Rejects with `QueueFullError` at once when too many wait. */
    add(item: T): Promise<string> {
      const weight = options.weightOf(item);
      // A small item always finds room, and any item in an empty queue.
      const isTooHeavy =
        queuedWeight > 0 && weight > limits.smallWeight && queuedWeight + weight > limits.maxQueuedWeight;
      const isGreedy = (bySource.get(options.sourceOf(item)) ?? 0) >= limits.maxQueuedOfSource;
      if (queued() >= limits.maxQueued || isTooHeavy || isGreedy) {
        return Promise.reject(new QueueFullError('too many deliveries are waiting'));
      }
      queuedWeight += weight;
      count(item, 1);
      return new Promise((resolve, reject) => {
        const key = options.keyOf(item);
        const index = enter(key, weight > limits.smallWeight);
        const lane = lanes[index] as Waiting<T>[];
        lane.push({ item, key, weight, resolve, reject });
        if (!running.has(index)) running.set(index, run(index));
      });
    },
    async idle() {
      while (running.size > 0) await Promise.all(running.values());
    },
  };
}

function laneOf(key: string, lanes: number): number {
  let sum = 0;
  for (let index = 0; index < key.length; index += 1) sum = (sum * 31 + key.charCodeAt(index)) | 0;
  return Math.abs(sum) % lanes;
}
