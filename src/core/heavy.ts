/** Work in parts where all of it at once would take too much memory. */

/** What a step would read has more bytes than it may take into memory; in smaller parts it can be done. */
export class TooHeavyError extends Error {
  override readonly name = 'TooHeavyError';
}

const PARTS = 4;

/**
 * Does work for all items at once, or for one part after the other where that is too heavy; results in order.
 * @param work a transaction of its own, which leaves nothing behind when it throws
 */
export async function inParts<I, R>(
  items: readonly I[],
  work: (items: readonly I[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  try {
    return await work(items);
  } catch (error) {
    if (!(error instanceof TooHeavyError) || items.length < 2) throw error;
  }
  const size = Math.ceil(items.length / PARTS);
  const results: R[] = [];
  for (let start = 0; start < items.length; start += size) {
    results.push(...(await inParts(items.slice(start, start + size), work)));
  }
  return results;
}
