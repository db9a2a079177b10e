/** Reading ahead by one, so that the next request is under way while the last answer is being written. */

/**
 * Yields what `source` yields, having asked for the next item already. The source's return value is passed on.
 * When the consumer stops early, the source is closed after the item that was under way.
 */
export async function* readAhead<T, R>(source: AsyncGenerator<T, R>): AsyncGenerator<T, R> {
  let next = source.next();
  try {
    for (;;) {
      const result = await next;
      if (result.done) return result.value;
      next = source.next();
      // Awaited in the next round; until then a failure must not count as unhandled.
      next.catch(() => {});
      yield result.value;
    }
  } finally {
    await next.catch(() => {});
    await source.return(undefined as R).catch(() => {});
  }
}
