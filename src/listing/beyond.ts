/** Looks for rows after the last listed one by id, when the portal does not count its rows. */

import type { FlowluClient } from '../flowlu/client.ts';
import { NotFoundError } from '../flowlu/errors.ts';
import type { ModelPath } from '../flowlu/url.ts';
import { compareIds } from '../record/id.ts';
import { onTooMuch } from './sick-pages.ts';

/** If this many ids in a row do not exist, no further row is assumed. */
const IDS_BEYOND = 5;

/** @param onRequest called for each request */
export function createBeyond(client: FlowluClient, model: ModelPath, signal: AbortSignal, onRequest: () => void) {
  let lowest: string | null = null;
  let highest: string | null = null;
  let last: string | null = null;
  /** Whether ids decrease towards the end. */
  let falling: boolean | null = null;

  async function ask(id: string): Promise<'read' | 'absent' | 'broken'> {
    onRequest();
    return client.get(model, id, signal, 'once').then(
      () => 'read' as const,
      (error: unknown) => (error instanceof NotFoundError ? 'absent' : (onTooMuch(error) ?? 'broken')),
    );
  }

  function note(ids: readonly string[]): void {
    for (const id of ids) {
      if (lowest === null || compareIds(id, lowest) < 0) lowest = id;
      if (highest === null || compareIds(id, highest) > 0) highest = id;
    }
    last = ids.at(-1) ?? last;
  }

  return {
    /** Notes the ids of a page. */
    note,
    /**
     * How many rows follow, up to `most`; the next call continues after them. Null if the portal does not say about any
     * of the ids whether it exists.
     */
    async rows(most: number): Promise<number | null> {
      falling ??= last === lowest && lowest !== highest;
      const step = falling ? -1n : 1n;
      const met = { read: 0, absent: 0, broken: 0 };
      const isTold = () => met.read + met.absent > 0;
      const found = () => met.read + met.broken;
      let id = BigInt((falling ? lowest : highest) ?? 0) + step;
      for (; id > 0n && met.absent < IDS_BEYOND && found() < (isTold() ? most : IDS_BEYOND); id += step) {
        met[await ask(String(id))] += 1;
      }
      if (found() === most) note([String(id - step)]);
      return isTold() || id <= 0n ? found() : null;
    },
  };
}
