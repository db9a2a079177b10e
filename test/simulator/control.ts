/** The simulator's own HTTP interface under `/_simulator/`, for tests that run in another process. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { send } from './answers.ts';
import { readBody } from './api.ts';
import type { Faults } from './faults.ts';
import { fromJson, toJson, type Value } from './json.ts';
import type { Change, Portal } from './portal.ts';
import type { Random } from './random.ts';
import type { RequestLog } from './requests.ts';
import type { WebhookOptions, WebhookSender } from './webhooks.ts';

export const CONTROL_PATH = '/_simulator';

interface ControlOptions {
  readonly portal: Portal;
  readonly faults: Faults;
  /** Ends all faults but those of the profile. */
  readonly restoreProfile: () => void;
  readonly limits: { requestsPerSecond: number; latencyMs: number };
  readonly requests: RequestLog;
  readonly webhooks: WebhookSender;
  readonly elsewhere: { readonly sawKey: boolean; readonly requests: number };
  readonly random: Random;
}

const CHANGES_AT_ONCE = 100_000;

const summary = ({ seq, action, name, id }: Change): object => ({ seq, action, model: name, id });

type Body = { readonly [key: string]: Value };

function applyChanges(portal: Portal, random: Random, body: Body): readonly Change[] {
  const model = String(body.model ?? '');
  const id = String(body.id ?? '');
  const record = body.record as Record<string, Value> | undefined;
  switch (body.action) {
    case undefined: {
      const count = Math.min(Number(body.count ?? 1), CHANGES_AT_ONCE);
      const among = body.models as readonly string[] | undefined;
      return Array.from({ length: count }, () => portal.randomChange(random, among));
    }
    case 'create':
      return [portal.create(model, record)];
    case 'update':
      return [portal.update(model, id, record, { keepVersion: body.keepVersion === true })];
    case 'remove':
    case 'delete':
      return [portal.remove(model, id)];
    case 'merge':
      return portal.merge(String(body.winner), String(body.loser), { removeLoser: body.removeLoser === true });
    case 'toggle':
      return portal.toggle(model, id, Number(body.times ?? 2));
    default:
      throw new Error(`unknown action: ${String(body.action)}`);
  }
}

function applyFaults({ faults, restoreProfile }: ControlOptions, body: Body): void {
  if (body.clear === true) restoreProfile();
  for (const [name, fault] of Object.entries(body)) {
    if (name === 'clear') continue;
    if (fault === null || fault === false) delete faults[name as keyof Faults];
    else Object.assign(faults, { [name]: fault });
  }
}

/** Resolves when more can be written, or nobody reads any more. */
function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      res.off('drain', go).off('close', go);
      resolve();
    };
    res.once('drain', go).once('close', go);
  });
}

/** Streams lines, waiting whenever the client reads slower than the portal produces. */
async function sendLines(res: ServerResponse, lines: Iterable<string>): Promise<void> {
  res.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
  let chunk = '';
  for (const line of lines) {
    chunk += `${line}\n`;
    if (chunk.length < 65_536) continue;
    if (!res.write(chunk)) await drained(res);
    if (res.destroyed) return;
    chunk = '';
  }
  res.end(chunk);
}

function* map<T>(source: Iterable<T>, write: (item: T) => string): Iterable<string> {
  for (const item of source) yield write(item);
}

export function createControl(
  options: ControlOptions,
): (req: IncomingMessage, res: ServerResponse, url: URL) => Promise<void> {
  const { portal, faults, limits, requests, webhooks, elsewhere } = options;

  const stats = (): object => ({
    rows: Object.fromEntries(portal.models.map((name) => [name, portal.count(name)])),
    changes: portal.changes.at(-1)?.seq ?? 0,
    webhooks: { ...webhooks.stats, pending: webhooks.pending() },
    requests: requests.total(),
    faults,
    limits,
  });

  const requestReport = (): object => ({
    total: requests.total(),
    maxPerSecond: requests.maxPerSecond(),
    // What holds even where this process takes note of a request late because the machine is busy.
    maxPer950ms: requests.maxPerSecond(950),
    violations: requests.violations().map(({ method, path }) => ({ method, path })),
    keySeenElsewhere: elsewhere.sawKey,
    redirectsFollowed: elsewhere.requests,
    perModel: requests.perModel(),
  });

  const routes: Record<string, (body: Body, url: URL) => object | Promise<object>> = {
    'GET stats': stats,
    'GET requests': requestReport,
    'DELETE requests': () => {
      requests.clear();
      return {};
    },
    'POST changes': (body) => {
      const made = applyChanges(portal, options.random, body);
      return { changes: made.map(summary) };
    },
    'POST faults': (body) => {
      applyFaults(options, body);
      return faults;
    },
    'POST limits': (body) => Object.assign(limits, body),
    'POST webhooks': (body) => {
      webhooks.configure({ mode: 'live', ...(body as unknown as Partial<WebhookOptions>) });
      return webhooks.options;
    },
    'POST webhooks/drain': async () => {
      await webhooks.drain();
      return webhooks.stats;
    },
  };

  return async (req, res, url) => {
    const path = url.pathname.slice(CONTROL_PATH.length + 1);
    const rows = /^rows\/(\w+)\/(\w+)$/.exec(path);
    if (req.method === 'GET' && rows !== null) return sendLines(res, map(portal.rows(`${rows[1]}.${rows[2]}`), toJson));
    if (req.method === 'GET' && path === 'changes') {
      const since = Number(url.searchParams.get('since') ?? 0);
      const wanted = portal.changes.filter(({ seq }) => seq > since);
      return sendLines(
        res,
        map(wanted, (change) => toJson({ ...summary(change), body: webhooks.body(change) })),
      );
    }
    const route = routes[`${req.method} ${path}`];
    if (route === undefined) return send(res, 404, JSON.stringify({ error: 'no such control route' }));
    try {
      const text = await readBody(req);
      const body = text === '' ? {} : fromJson(text);
      send(res, 200, toJson(await route(body as Body, url)));
    } catch (error) {
      send(res, 400, JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
    }
  };
}
