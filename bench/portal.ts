/** A portal that answers as fast as anybody can: lists of made-up records by id keyset, and nothing else. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type RecordMaker, recordMaker } from './rows.ts';

export interface PortalState {
  /** Rows of each model. */
  readonly rows: number;
  /** How often each row has changed. */
  readonly change: number;
}

export interface Portal {
  readonly baseUrl: string;
  /** What is listed from now on. */
  set(state: PortalState): void;
  /** Requests since the last `set`. */
  requests(): number;
  close(): Promise<void>;
}

/** Rows of a page, as Flowlu limits them. */
export const PAGE_SIZE = 100;
/** Bytes of a record. */
export const ROW_BYTES = 1_500;

/** Pages that are written before they are asked for: making them up must not take the processor from those who read. */
const MAX_READY_PAGES = 3_000;

/** Starts a portal with these models. */
export async function startPortal(models: readonly RecordMaker['model'][]): Promise<Portal> {
  const makers = new Map(
    models.map((model) => [`/${model.module}/${model.model}/list`, recordMaker(model, ROW_BYTES)]),
  );
  let state: PortalState = { rows: 0, change: 0 };
  let ready = new Map<string, Buffer>();
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    const url = new URL(request.url ?? '/', 'http://portal');
    const maker = makers.get(url.pathname);
    const after = maker === undefined ? 0 : lastIdOf(url.searchParams);
    const body =
      ready.get(keyOf(url.pathname, after)) ?? Buffer.from(maker === undefined ? UNKNOWN : listOf(maker, state, after));
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set(next) {
      if (next.rows !== state.rows || next.change !== state.change) ready = readyPages(makers, next);
      state = next;
      requests = 0;
    },
    requests: () => requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const keyOf = (path: string, after: number) => `${path} ${after}`;

function readyPages(makers: ReadonlyMap<string, RecordMaker>, state: PortalState): Map<string, Buffer> {
  const pages = new Map<string, Buffer>();
  if ((makers.size * state.rows) / PAGE_SIZE > MAX_READY_PAGES) return pages;
  for (const [path, maker] of makers) {
    for (let after = 0; after <= state.rows; after += PAGE_SIZE) {
      pages.set(keyOf(path, after), Buffer.from(listOf(maker, state, after)));
    }
  }
  return pages;
}

const UNKNOWN = '{"error":{"error_code":31,"error_msg":"unknown module"}}';

function lastIdOf(query: URLSearchParams): number {
  if (query.get('order_by[asc][]') !== 'id' || query.get('limit') !== String(PAGE_SIZE)) {
    throw new Error(`the portal of the benchmark lists by id only, not ${query}`);
  }
  return Number(/"value": ?"?(\d+)/.exec(query.get('filter[id]') ?? '')?.[1] ?? 0);
}

function listOf(maker: RecordMaker, { rows, change }: PortalState, after: number): string {
  const items: string[] = [];
  for (let id = after + 1; id <= Math.min(after + PAGE_SIZE, rows); id += 1) items.push(maker.json(id, change));
  const counts = `"total":${rows},"total_result":${rows - after},"page":1,"count":${items.length}`;
  return `{"response":{${counts},"items":[${items.join(',')}]}}`;
}
