/** How many rows the portal puts on a page, and what reading everything takes at that size. */
import type { FlowluClient } from '../flowlu/client.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { count, span } from '../status/words.ts';
import { type Check, namesOf, ok, warn } from './check.ts';
import type { ReadableModel } from './portal.ts';

export const READING_THESE = 'to read these models';
const ASKED = 100;
/** Sizes tried where a page of so many fails. */
const SMALLER = [50, 25, 5] as const;

/** How many models have been asked for, of how many that are mirrored. */
export interface Asked {
  readonly asked: number;
  readonly mirrored: number;
}

/** The rate of requests, and the share of it that `serve` reads with. */
interface Rate {
  readonly requestsPerSecond: number;
  readonly backgroundShare: number;
}

/** @throws the signal's reason. */
export async function measurePages(
  client: FlowluClient,
  readable: readonly ReadableModel[],
  { asked, mirrored, requestsPerSecond, backgroundShare }: Asked & Rate,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const [largest] = readable.toSorted((a, b) => (b.total ?? 0) - (a.total ?? 0));
  if (largest === undefined || (largest.total ?? 0) <= SMALLER[2]) return [];
  const size = await grantedSize(client, largest, signal);
  if (size === null) return [warn('page size', `lists of ${largest.model.name} fail at every size`, 'try again later')];
  const rows = readable.reduce((sum, { total }) => sum + (total ?? 0), 0);
  const lists = readable.reduce((sum, { total }) => sum + Math.max(1, Math.ceil((total ?? 0) / size)), 0);
  // That a model is not there, or not to be read, takes a request to find out.
  const requests = lists + asked - readable.length;
  const [name, which] =
    asked < mirrored
      ? [READING_THESE, ` of the ${count(asked, 'model')} asked for, of ${mirrored} mirrored,`]
      : ['to read everything', ''];
  const takes_s = requests / requestsPerSecond;
  const time =
    requestsPerSecond > 0 ? `: ${span(takes_s)} by \`backfill\`, ${span(takes_s / backgroundShare)} by \`serve\`` : '';
  const uncounted = readable.filter(({ total }) => total === null).map(({ model }) => model.name);
  const more = uncounted.length > 0 ? `; more for ${namesOf(uncounted)}, which the portal does not count` : '';
  return [
    ok('page size', size < ASKED ? `at most ${size} rows, where ${ASKED} were asked for` : `${ASKED} rows`),
    ok(name, `${count(rows)} rows${which} take about ${count(requests)} requests${time}${more}`),
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
