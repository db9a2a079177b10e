/** How many rows the portal puts on a page, and what reading everything takes at that size. */
import type { FlowluClient } from '../flowlu/client.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { count, span } from '../status/words.ts';
import { type Check, ok, warn } from './check.ts';
import type { ReadableModel } from './portal.ts';

const ASKED = 100;
/** Sizes tried where a page of so many fails. */
const SMALLER = [50, 25, 5] as const;

/** @throws the signal's reason. */
export async function measurePages(
  client: FlowluClient,
  readable: readonly ReadableModel[],
  requestsPerSecond: number,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const [largest] = readable.toSorted((a, b) => (b.total ?? 0) - (a.total ?? 0));
  if (largest === undefined || (largest.total ?? 0) <= SMALLER[2]) return [];
  const size = await grantedSize(client, largest, signal);
  if (size === null) return [warn('page size', `lists of ${largest.model.name} fail at every size`, 'try again later')];
  const rows = readable.reduce((sum, { total }) => sum + (total ?? 0), 0);
  const requests = readable.reduce((sum, { total }) => sum + Math.max(1, Math.ceil((total ?? 0) / size)), 0);
  const time = requestsPerSecond > 0 ? `, ${span(requests / requestsPerSecond)} at the rate set` : '';
  return [
    ok('page size', size < ASKED ? `at most ${size} rows, where ${ASKED} were asked for` : `${ASKED} rows`),
    ok('to read everything', `${count(rows)} rows take about ${count(requests)} requests${time}`),
  ];
}

/** Rows that come when a hundred are asked for; of a model that has fewer, a hundred. */
async function grantedSize(client: FlowluClient, { model, total }: ReadableModel, signal: AbortSignal) {
  for (const limit of [ASKED, ...SMALLER]) {
    try {
      const { items } = await client.list(model, { limit, page: 1 }, signal, 'once');
      return items.length < limit && items.length === total ? limit : items.length;
    } catch (error) {
      if (!(error instanceof FlowluError) || !error.mayBeTooMuch) throw error;
    }
  }
  return null;
}
