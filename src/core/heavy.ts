/** A step would read more bytes than it may hold in memory. It can be repeated in smaller parts. */
export class TooHeavyError extends Error {
  override readonly name = 'TooHeavyError';
}

const PARTS = 4;

/**
 * Does the work for all items at once, or part by part if that is too heavy. Returns the results in order.
 * @param work runs in a transaction of its own and leaves nothing behind when it throws
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
