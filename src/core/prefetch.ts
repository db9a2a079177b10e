/** Reads ahead while earlier answers are being written, up to a limit. */

/**
 * Yields the items of `source` in groups of those that are ready, at most `most` each, and lets it run that far ahead.
 * Its return value or its error follows the last item. If the consumer stops early, the source is closed after the item
 * in progress.
 */
export async function* readAhead<T, R>(source: AsyncGenerator<T, R>, most: number): AsyncGenerator<readonly T[], R> {
  const ready: T[] = [];
  let ending: (() => R) | null = null;
  let stopped = false;
  // One callback is enough: the two sides never wait at once, one for an item and the other for room.
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
