/** What of its own documentation the portal honours, judged by the rows that come back. */
import type { Model } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';
import type { FlowluClient, ListAnswer } from '../flowlu/client.ts';
import { FlowluError } from '../flowlu/errors.ts';
import type { ListQuery } from '../flowlu/url.ts';
import { compareIds, idOf } from '../record/id.ts';
import { fieldValue } from '../record/record.ts';
import { type Check, ok, warn } from './check.ts';

const ROWS = 20;
/** Fewer rows prove neither an order nor a filter. */
export const ROWS_NEEDED = 5;

const SLOWER = 'no harm: the mirror notices and reads more than it would have to';

/** A model that is listed by its version field, too. */
export type VersionedModel = Model & { readonly version: string };

type Ask = (query: ListQuery) => Promise<ListAnswer | null>;

/**
 * Probes sorting and filters on a model with enough rows.
 * @returns also the version texts that were seen, in no order.
 * @throws FlowluError for what is no matter of the query; the signal's reason.
 */
export async function probeQueries(client: FlowluClient, model: VersionedModel, signal: AbortSignal) {
  const ask: Ask = async (query) => {
    try {
      return await client.list(model, { limit: ROWS, page: 1, ...query }, signal, 'once');
    } catch (error) {
      // The portal did not accept how it was asked.
      const isFlowlus = error instanceof FlowluError;
      if (isFlowlus && (error.mayBeTooMuch || ['invalid_request', 'validation'].includes(error.kind))) return null;
      throw error;
    }
  };
  const up = await ask({ orderBy: { field: 'id', direction: 'asc' } });
  const down = up && (await ask({ orderBy: { field: 'id', direction: 'desc' } }));
  const newest = await ask({ orderBy: { field: model.version, direction: 'desc' } });
  // Where this fails too, it is not the question.
  const plain =
    up === null || newest === null ? await client.list(model, { limit: ROWS, page: 1 }, signal, 'once') : null;
  const rows = [up, down, newest, plain].flatMap(itemsOf);
  const versions = rows.map((row) => versionText(model, row)).filter((text) => text !== '');
  /** Null stands for a question that the portal did not take. */
  const judge = (name: string, isHonoured: boolean | null): Check => {
    if (isHonoured) return ok(name, `honoured (on ${model.name})`);
    return warn(name, `${isHonoured === null ? 'refused' : 'not honoured'} (on ${model.name})`, SLOWER);
  };
  const sorted = up === null || down === null ? null : isSortedById(up, 'asc') && isSortedById(down, 'desc');
  return {
    checks: [
      judge('sorting by id', sorted),
      judge('filter on id', await honoursIdFilter(ask, up, plain)),
      judge('sorting by time of change', newest && isNewestFirst(newest, model, versions)),
      judge('filter on time of change', await honoursDateFilter(ask, model, versions)),
    ],
    versions,
  };
}

/** The text of the newest version; none where the portal does not tell it. @throws the signal's reason. */
export async function newestVersion(
  client: FlowluClient,
  model: VersionedModel,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const orderBy = { field: model.version, direction: 'desc' } as const;
  const answer = await client.list(model, { limit: 1, page: 1, orderBy }, signal, 'once').catch((error) => {
    if (error instanceof FlowluError) return null;
    throw error;
  });
  return itemsOf(answer).map((row) => versionText(model, row));
}

function itemsOf(answer: ListAnswer | null): readonly JsonObject[] {
  return answer?.items ?? [];
}

function idsOf(answer: ListAnswer | null): readonly string[] {
  return itemsOf(answer).flatMap((row) => idOf(row) ?? []);
}

function versionText(model: VersionedModel, row: JsonObject): string {
  const value = fieldValue(model, row, model.version);
  return typeof value === 'string' && /^[1-9]\d{3}-\d\d-\d\d/.test(value) ? value : '';
}

function isSortedById(answer: ListAnswer, direction: 'asc' | 'desc'): boolean {
  const ids = idsOf(answer);
  const sign = direction === 'asc' ? 1 : -1;
  const follows = (id: string, index: number) => index === 0 || sign * compareIds(id, ids[index - 1] ?? '') > 0;
  return answer.ordered && ids.length > 1 && ids.every(follows);
}

async function honoursIdFilter(ask: Ask, up: ListAnswer | null, plain: ListAnswer | null): Promise<boolean | null> {
  const ids = idsOf(up ?? plain).toSorted(compareIds);
  const middle = ids[Math.floor(ids.length / 2) - 1];
  if (middle === undefined) return false;
  // In the order in which the row itself would come again, if the filter were ignored; where an order is refused, without.
  const order = up === null ? {} : { orderBy: { field: 'id', direction: 'asc' } as const };
  const answer = await ask({ ...order, filters: { id: { type: 'more', value: middle } } });
  if (answer === null) return null;
  const got = idsOf(answer);
  return got.length > 0 && got.every((id) => compareIds(id, middle) > 0);
}

/** Texts of one form compare as the times that they stand for. */
function isNewestFirst(answer: ListAnswer, model: VersionedModel, versions: readonly string[]): boolean {
  const texts = itemsOf(answer).map((row) => versionText(model, row));
  const newest = versions.reduce((max, text) => (text > max ? text : max), '');
  const isFalling = texts.every((text, index) => index === 0 || text <= (texts[index - 1] ?? ''));
  return answer.ordered && texts.length > 1 && isFalling && texts[0] === newest;
}

/** An interval around the newest change must bring rows and only such; one after it must bring none that are older. */
async function honoursDateFilter(
  ask: Ask,
  model: VersionedModel,
  versions: readonly string[],
): Promise<boolean | null> {
  const newest = versions.reduce((max, text) => (text > max ? text : max), '').slice(0, 10);
  if (newest === '') return false;
  const since = async (days: number) => {
    const start = new Date(Date.parse(newest) + days * 86_400_000).toISOString().slice(0, 10);
    const answer = await ask({ filters: { [model.version]: { start_date: start } } });
    if (answer === null) return null;
    const came = answer.items.map((row) => versionText(model, row).slice(0, 10));
    return { count: came.length, isHonoured: came.every((day) => day >= start) };
  };
  const around = await since(-1);
  if (around === null) return null;
  if (around.count === 0 || !around.isHonoured) return false;
  return (await since(2))?.isHonoured ?? null;
}
