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

export interface Probed {
  readonly checks: readonly Check[];
  /** Version texts that were seen, in no order. */
  readonly versions: readonly string[];
}

/**
 * Probes sorting and filters on a model with enough rows.
 * @throws FlowluError for what is no matter of the query; the signal's reason.
 */
export async function probeQueries(client: FlowluClient, model: VersionedModel, signal: AbortSignal): Promise<Probed> {
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
  const down = await ask({ orderBy: { field: 'id', direction: 'desc' } });
  const newest = await ask({ orderBy: { field: model.version, direction: 'desc' } });
  const plain = newest === null ? await ask({}) : null;
  const rows = [up, down, newest, plain].flatMap(itemsOf);
  const versions = rows.map((row) => versionText(model, row)).filter((text) => text !== '');
  const onModel = `on ${model.name}`;
  const judge = (name: string, isHonoured: boolean): Check =>
    isHonoured ? ok(name, `honoured (${onModel})`) : warn(name, `not honoured (${onModel})`, SLOWER);
  return {
    checks: [
      judge('sorting by id', isSortedById(up, 'asc') && isSortedById(down, 'desc')),
      judge('filter on id', await honoursIdFilter(ask, idsOf(up))),
      judge('sorting by time of change', isNewestFirst(newest, model, versions)),
      judge('filter on time of change', await honoursDateFilter(ask, model, versions)),
    ],
    versions,
  };
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

function isSortedById(answer: ListAnswer | null, direction: 'asc' | 'desc'): boolean {
  const ids = idsOf(answer);
  const sign = direction === 'asc' ? 1 : -1;
  const follows = (id: string, index: number) => index === 0 || sign * compareIds(id, ids[index - 1] ?? '') > 0;
  return answer?.ordered === true && ids.length > 1 && ids.every(follows);
}

async function honoursIdFilter(ask: Ask, ids: readonly string[]): Promise<boolean> {
  const middle = ids[Math.floor(ids.length / 2) - 1];
  if (middle === undefined) return false;
  // In the order in which the row itself would come first, if the filter were ignored.
  const orderBy = { field: 'id', direction: 'asc' } as const;
  const answer = await ask({ orderBy, filters: { id: { type: 'more', value: middle } } });
  const got = idsOf(answer);
  return got.length > 0 && got.every((id) => compareIds(id, middle) > 0);
}

/** Texts of one form compare as the times that they stand for. */
function isNewestFirst(answer: ListAnswer | null, model: VersionedModel, versions: readonly string[]): boolean {
  const texts = itemsOf(answer).map((row) => versionText(model, row));
  const newest = versions.reduce((max, text) => (text > max ? text : max), '');
  const isFalling = texts.every((text, index) => index === 0 || text <= (texts[index - 1] ?? ''));
  return answer?.ordered === true && texts.length > 1 && isFalling && texts[0] === newest;
}

/** An interval around the newest change must bring rows and only such; one after it must bring none that are older. */
async function honoursDateFilter(ask: Ask, model: VersionedModel, versions: readonly string[]): Promise<boolean> {
  const newest = versions.reduce((max, text) => (text > max ? text : max), '').slice(0, 10);
  if (newest === '') return false;
  const since = async (days: number) => {
    const start = new Date(Date.parse(newest) + days * 86_400_000).toISOString().slice(0, 10);
    const answer = await ask({ filters: { [model.version]: { start_date: start } } });
    const texts = answer === null ? null : answer.items.map((row) => versionText(model, row).slice(0, 10));
    return { count: texts?.length ?? 0, isHonoured: texts?.every((day) => day >= start) ?? false };
  };
  const around = await since(-1);
  return around.count > 0 && around.isHonoured && (await since(2)).isHonoured;
}
