/** URLs of read requests. No others can be built here, since at Flowlu even deleting is a GET. */
import type { Model } from '../catalog/types.ts';
import { isId } from '../record/id.ts';

/** The part of a model that a request needs. */
export type ModelPath = Pick<Model, 'module' | 'model' | 'name'>;
export type ListedModel = ModelPath & Pick<Model, 'listQuery'>;

/**
 * A condition on one field: a value, or an object such as `{ type: 'more', value }` or `{ start_date }`. Times and dates
 * are in the portal's zone.
 */
export type Filter = string | Readonly<Record<string, string | number>>;

export interface ListQuery {
  /** Rows per page, 1 to 100; the portal's default is 50. */
  readonly limit?: number;
  /** 1-based. */
  readonly page?: number;
  readonly orderBy?: { readonly field: string; readonly direction: 'asc' | 'desc' };
  /** Field → condition; all must hold. The portal may silently ignore any of them. */
  readonly filters?: Readonly<Record<string, Filter>>;
}

/** Maximum rows per page that the API allows. */
const MAX_LIMIT = 100;

const NAME = /^[a-z][a-z0-9_]*$/i;
const FIELD = /^[a-z_][a-z0-9_]*$/i;

/** Checks the base address, strips trailing slashes. @throws TypeError unless http(s), with no user, query, fragment */
export function checkedBaseUrl(baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new TypeError('the base URL must be a plain http(s) address, without user, query or fragment');
  }
  return url.href.replace(/\/+$/, '');
}

/** URL of `list`, without query. @throws RangeError for an invalid name of a module or model */
export function listPath(baseUrl: string, { module, model }: ModelPath): string {
  return `${baseUrl}/${name(module)}/${name(model)}/list`;
}

/**
 * URL of `get`, without query. Without an id, the user whose rights are used.
 * @throws RangeError for an invalid name of a module or model, or an id that is not all digits
 */
export function getPath(baseUrl: string, { module, model }: ModelPath, id: string | null): string {
  if (id !== null && !isId(id)) throw new RangeError('an id consists of digits');
  return `${baseUrl}/${name(module)}/${name(model)}/get${id === null ? '' : `/${id}`}`;
}

/**
 * Query of `list`, with the parameters that the model always needs.
 * @throws RangeError for an invalid limit, page or field name; `limit=0` would mean "everything"
 */
export function listParams(model: ListedModel, query: ListQuery): URLSearchParams {
  const params = new URLSearchParams(model.listQuery);
  if (query.limit !== undefined) params.set('limit', whole('limit', query.limit, MAX_LIMIT));
  if (query.page !== undefined) params.set('page', whole('page', query.page, Number.MAX_SAFE_INTEGER));
  if (query.orderBy) params.set(`order_by[${query.orderBy.direction}][]`, field(query.orderBy.field));
  for (const [key, filter] of Object.entries(query.filters ?? {})) {
    params.set(`filter[${field(key)}]`, filterText(filter));
  }
  return params;
}

/** Whether the query asks for less than the whole model, because of its own filters or the model's. */
export function isFiltered(params: URLSearchParams): boolean {
  return [...params.keys()].some((key) => key.startsWith('filter['));
}

function filterText(filter: Filter): string {
  if (typeof filter === 'string') return filter;
  const parts = Object.entries(filter).map(([key, value]) => `${JSON.stringify(key)}:${scalar(value)}`);
  return `{${parts.join(',')}}`;
}

/** Whole numbers are written digit by digit, so that a 64-bit id stays exact. */
function scalar(value: string | number): string {
  return /^(0|[1-9]\d*)$/.test(String(value)) ? String(value) : JSON.stringify(value);
}

function name(text: string): string {
  if (!NAME.test(text)) throw new RangeError(`not the name of a Flowlu module or model: ${JSON.stringify(text)}`);
  return text;
}

function field(text: string): string {
  if (!FIELD.test(text)) throw new RangeError(`not the name of a field: ${JSON.stringify(text)}`);
  return text;
}

function whole(what: string, value: number, max: number): string {
  if (!Number.isSafeInteger(value) || value < 1 || value > max) {
    throw new RangeError(`${what} must be a whole number from 1 to ${max}, not ${value}`);
  }
  return String(value);
}
