/**
 * A portal that answers as a recording of `doctor --record` says: the same sizes of pages, orders, errors, fields and forms of
 * values, with made-up contents. A request takes the recorded answer to the same path whose parameters are most like its own.
 */
import { answer, startPortal } from '../flowlu/portal.ts';

interface Recorded {
  /** `module/model/method`. */
  readonly asked: string;
  readonly query: Readonly<Record<string, string>>;
  readonly status?: number;
  readonly type?: string;
  readonly body?: string | RecordedBody;
  /** The request brought no answer. */
  readonly failed?: string;
}

interface RecordedBody {
  readonly error?: unknown;
  readonly response?: Form;
  readonly rows?: number;
  readonly order_of_ids?: 'ascending' | 'descending' | 'mixed' | 'none';
  /** Whether rows came in the order that was asked for. */
  readonly in_order?: boolean;
}

type Form = string | null | readonly Form[] | { readonly [key: string]: Form } | number;

const isOdd = (id: number) => id % 2 === 1;
const ORDERS: Readonly<
  Record<NonNullable<RecordedBody['order_of_ids']>, (ids: readonly number[]) => readonly number[]>
> = {
  ascending: (ids) => ids,
  none: (ids) => ids,
  descending: (ids) => ids.toReversed(),
  mixed: (ids) => [...ids.filter(isOdd), ...ids.filter((id) => !isOdd(id))],
};

/** @param text the file `portal.ndjson` */
export function startRecordedPortal(text: string) {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Recorded);
  return startPortal((request, response, url) => {
    const [path = '', id] =
      /(?<=\/module\/)[^/]+\/[^/]+\/(?:list|get)(?:\/\d+)?$/.exec(url.pathname)?.[0].split(/\/(?=\d+$)/) ?? [];
    const line = likest(lines, path, url.searchParams);
    if (line?.failed !== undefined) {
      response.destroy();
      return;
    }
    const unknown = { error: { error_code: 31, error_msg: 'unknown module' } };
    const body = line === undefined ? unknown : bodyOf(line, url.searchParams, id, lines);
    answer(line?.status ?? 200, body, { 'content-type': line?.type ?? 'application/json' })(request, response, url);
  });
}

/** The recorded request to this path that shares the most parameters and has the fewest others. */
function likest(lines: readonly Recorded[], path: string, query: URLSearchParams): Recorded | undefined {
  const likeness = (line: Recorded) => {
    const names = Object.keys(line.query).filter((name) => name !== 'limit' && name !== 'page');
    // An order by another field is another question.
    const isShared = (name: string) =>
      name.startsWith('order_by[') ? query.get(name) === line.query[name] : query.has(name);
    const shared = names.filter(isShared).length;
    return shared * 2 - names.length + (line.query.limit === query.get('limit') ? 0.5 : 0);
  };
  return lines.filter(({ asked }) => asked === path).sort((a, b) => likeness(b) - likeness(a))[0];
}

function bodyOf(
  { body, asked, query }: Recorded,
  wanted: URLSearchParams,
  id: string | undefined,
  lines: readonly Recorded[],
): unknown {
  if (typeof body === 'string') return body.startsWith('HTML') ? '<html>as recorded</html>' : 'as recorded';
  if (body === undefined || body.error !== undefined) return body ?? '';
  if (body.rows === undefined) return { response: madeUp(body.response ?? null, Number(id ?? 1)) };
  const { items, ...counts } = body.response as { items: readonly Form[]; total?: number; total_result?: number };
  const total = counts.total ?? body.rows;
  // Whether a page is cut by the portal shows where more was asked for than came, although there is more.
  const granted = Math.max(0, ...lines.map((line) => grantedBy(line, asked)));
  const sizeOf = (limit: string | null | undefined) =>
    Math.min(Number(limit ?? 50), granted || Number.POSITIVE_INFINITY);
  const size = sizeOf(wanted.get('limit'));
  // A condition was honoured where fewer rows came than the recorded request had asked for.
  const isFewer = (counts.total_result ?? total) < total || body.rows < Math.min(sizeOf(query.limit), total);
  const after = isFewer ? lastOf(query, wanted) : 0;
  const all = Array.from({ length: total - after }, (_, index) => after + index + 1);
  const ids = ORDERS[orderOf(query, body)](all);
  const first = (Number(wanted.get('page') ?? 1) - 1) * size;
  const page = ids.slice(first, first + size);
  const rows = page.map((number, index) => madeUp(items[index % Math.max(1, items.length)] ?? {}, number));
  const said = 'total_result' in counts ? { ...counts, total_result: all.length } : counts;
  return { response: { ...said, page: first / size + 1, count: rows.length, items: rows } };
}

/** Made-up moments rise with the ids, so an order by time is one of ids, and rows that did not come in it are mixed. */
function orderOf(query: Recorded['query'], { order_of_ids = 'none', in_order }: RecordedBody): keyof typeof ORDERS {
  const [name, field] = Object.entries(query).find(([key]) => key.startsWith('order_by[')) ?? [];
  if (name === undefined || field === 'id' || in_order === undefined) return order_of_ids;
  if (!in_order) return 'mixed';
  return name.startsWith('order_by[desc]') ? 'descending' : 'ascending';
}

/** The id after which rows are asked for, where the recorded request had such a condition, too. */
function lastOf(query: Recorded['query'], wanted: URLSearchParams): number {
  if (query['filter[id]'] === undefined) return 0;
  return Number(/"value":(\d+)/.exec(wanted.get('filter[id]') ?? '')?.[1] ?? 0);
}

/** Rows of a first page that the portal has cut; 0 where this line shows none. */
function grantedBy({ asked, query, body }: Recorded, path: string): number {
  if (asked !== path || typeof body !== 'object' || body.rows === undefined || (query.page ?? '1') !== '1') return 0;
  const { total = 0 } = body.response as { total?: number };
  const isFiltered = Object.keys(query).some((name) => name.startsWith('filter['));
  return body.rows < Math.min(Number(query.limit ?? 50), total) && !isFiltered ? body.rows : 0;
}

const FIRST_MS = Date.UTC(2026, 0, 31, 12);
const SAMPLES: Readonly<Record<string, string>> = {
  empty: '',
  date: '2026-01-31',
  entities: '&amp;',
  html: '<p>x</p>',
  'lines of Windows': 'a\r\nb',
  lines: 'a\nb',
};

/** A value of this form; `id` stands for every id of the record itself. */
function madeUp(form: Form, id: number): unknown {
  if (typeof form === 'object' && form !== null && !Array.isArray(form)) {
    return Object.fromEntries(
      Object.entries(form).map(([key, member]) => {
        const isText = typeof member === 'string' && member.startsWith('string');
        return [key, key === 'id' ? (isText ? String(id) : id) : madeUp(member, id)];
      }),
    );
  }
  if (Array.isArray(form)) return form.map((member) => madeUp(member, id));
  if (typeof form !== 'string') return form;
  if (form === 'boolean') return true;
  const [type, kind = 'text', length = '1'] = form.split(', ');
  const digits = '1'.repeat(Math.min(15, Math.max(1, Number(length))));
  const number = kind === 'decimal' ? `${digits}.5` : digits;
  if (type === 'number') return Number(number);
  if (kind === 'datetime') return new Date(FIRST_MS + id * 1_000).toISOString().slice(0, 19).replace('T', ' ');
  return SAMPLES[kind] ?? (kind === 'text' ? 'x'.repeat(Number(length)) : number);
}
