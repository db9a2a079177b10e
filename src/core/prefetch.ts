/** Reading ahead of writing: requests go on while earlier answers are written, a bounded number of answers ahead. */

/**
 * Yields what `source` yields in groups of what is ready, at most `most` items each, and lets it run as far ahead.
 * Its return value, or its failure, follows after the last item. When the consumer stops early, the source is closed
 * after the item that was under way.
 */
export async function* readAhead<T, R>(source: AsyncGenerator<T, R>, most: number): AsyncGenerator<readonly T[], R> {
  const ready: T[] = [];
  let ending: (() => R) | null = null;
  let stopped = false;
  // Never do both sides wait at a time: the one for an item, the other for room.
  let wake = () => {};
  const pause = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });

  async function fill(): Promise<void> {
    while (!stopped) {
      const next = await source.next();
      if (next.done) {
        ending = () => next.value;
        return;
      }
      ready.push(next.value);
      wake();
      if (ready.length >= most && !stopped) await pause();
    }
  }

  const filling = fill()
    .catch((error: unknown) => {
      ending = () => {
        throw error;
      };
    })
    .finally(() => wake());
  try {
    for (;;) {
      if (ready.length > 0) {
        const group = ready.splice(0, most);
        wake();
        yield group;
      } else if (ending !== null) {
        return (ending as () => R)();
      } else {
        await pause();
      }
    }
  } finally {
    stopped = true;
    wake();
    await filling;
    await source.return(undefined as R).catch(() => {});
  }
}
