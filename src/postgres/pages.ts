/** Walking through a table page by page, in the order of a key. */

/** One page; `last` is the key of its last row, undefined for a page beyond the end. */
export interface Page<K> {
  readonly last: K | undefined;
}

/**
 * Yields the pages that `read` finds, each from behind the key at which the one before ended. Ends with the table, since
 * each turn moves on to greater keys.
 * @throws the signal's reason between two pages.
 */
export async function* eachPage<K, P extends Page<K>>(
  read: (after: K | null) => Promise<P>,
  signal?: AbortSignal,
): AsyncGenerator<P> {
  for (let after: K | null = null; ; ) {
    signal?.throwIfAborted();
    const page: P = await read(after);
    if (page.last === undefined) return;
    after = page.last;
    yield page;
  }
}
