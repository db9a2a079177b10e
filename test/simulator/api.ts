/** The portal's API: one request in, one answer out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorBody, send, sendBody, sendFault, sendTooMany } from './answers.ts';
import { findModel, type ModelFacts, modelFacts, modelsOf } from './catalog.ts';
import { type FaultCheck, type Faults, faultCheck } from './faults.ts';
import { toId, type Value } from './json.ts';
import { getBody, listBody, type Page, pageFor } from './listing.ts';
import type { Portal } from './portal.ts';
import type { Random } from './random.ts';
import { type LoggedRequest, type RequestRecorder, slidingLimit } from './requests.ts';

export const BASE_PATH = '/api/v1/module';

export interface ApiOptions {
  readonly portal: Portal;
  readonly faults: Faults;
  readonly requests: RequestRecorder;
  readonly apiKey: string;
  /** Where the portal knows OAuth: whether a token is good. Keys are then good for nothing. */
  readonly acceptsBearer?: (token: string) => boolean;
  readonly edition: 'flowlu' | 'aspro' | 'both';
  /** Read at every request, so that it may change while running; 0 = unlimited. */
  readonly limits: { requestsPerSecond: number; latencyMs: number };
  readonly random: Random;
  /** Origin of the other host that redirects point at. */
  readonly elsewhere: () => string;
  readonly signal: AbortSignal;
}

const BODY_LIMIT = 1_048_576;
const MUTATIONS = new Set(['create', 'update', 'delete']);

/** Reads a request body of at most 1 MiB. Rejects when it is longer. */
export async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_LIMIT) throw new Error('request body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

type Handler = (req: IncomingMessage, res: ServerResponse, url: URL) => Promise<void>;

/** What a path of the API names. */
interface Target {
  readonly module: string;
  readonly model: string;
  /** `module.model` */
  readonly name: string;
  readonly method: string;
  readonly id: string | undefined;
}

function targetOf(path: string): Target {
  const [module = '', model = '', method = '', id] = path.slice(BASE_PATH.length + 1).split('/');
  return { module, model, name: `${module}.${model}`, method, id };
}

export function createApi(options: ApiOptions): Handler {
  const { portal, faults, requests, limits } = options;
  const allowed = slidingLimit(() => limits.requestsPerSecond);

  const record = (req: IncomingMessage, res: ServerResponse, url: URL, { name, method }: Target): LoggedRequest => {
    const query = Object.fromEntries([...url.searchParams].filter(([key]) => key !== 'api_key'));
    const entry = requests.add({
      at: performance.now(),
      method: req.method ?? '',
      path: url.pathname,
      query,
      model: name,
    });
    res.once('finish', () => {
      entry.status = res.statusCode;
    });
    if (MUTATIONS.has(method) || req.method !== 'GET') requests.addViolation(entry);
    return entry;
  };

  return async (req, res, url) => {
    const target = targetOf(url.pathname);
    const { name, method } = target;
    const entry = record(req, res, url, target);
    if (!allowed(entry.at)) return sendTooMany(res);

    const query = url.searchParams;
    let known: Page | undefined;
    const page = (): Page => {
      known ??= pageFor(portal, name, query, check);
      return known;
    };
    const isGet = method === 'get';
    const rows = (): readonly string[] => {
      if (isGet) return [target.id ?? ''];
      return findModel(name) === undefined ? [] : page().ids.map(String);
    };
    const check = faultCheck(faults, { model: name, method: isGet ? 'get' : 'list', query, rows }, options.random);
    const wait = limits.latencyMs + (check.value('slow', 1000) ?? 0);
    if (wait > 0) await sleep(wait, undefined, { signal: options.signal });
    if (sendFault(res, check, options.elsewhere())) return;
    const refusal = refuseRight(url, req, options) ?? refusePath(options.edition, target);
    if (refusal !== undefined) return sendRefusal(res, refusal);
    const facts = modelFacts(name);
    if (MUTATIONS.has(method)) return send(res, 200, await mutate(portal, facts, target, req));
    if (!facts.methods.includes(method)) return send(res, 200, errorBody(30));
    if (isGet) return sendBody(res, check, getAnswer(portal, target, query, check));
    sendBody(res, check, listBody(portal, name, query, check, page()));
    shiftPages(portal, name, check.value('shiftPages', 'remove'));
  };
}

/** Moves the pages that the client has not asked for yet: a row with a low id goes, or comes back. */
function shiftPages(portal: Portal, name: string, how: 'remove' | 'insert' | undefined): void {
  const table = portal.table(name);
  const lowest = table.at(0);
  if (how === undefined || lowest === undefined) return;
  if (how === 'remove') {
    portal.remove(name, lowest);
    return;
  }
  for (let id = 1; id < table.maxId(); id++) {
    if (table.has(id)) continue;
    portal.create(name, { id });
    return;
  }
}

const REVOKED = JSON.stringify({ error: 'Access token has been revoked' });

function sendRefusal(res: ServerResponse, refusal: string): void {
  send(res, refusal === REVOKED ? 401 : 200, refusal);
}

function refuseRight(url: URL, req: IncomingMessage, { apiKey, acceptsBearer }: ApiOptions): string | undefined {
  if (acceptsBearer === undefined) return refuseKey(url, req, apiKey);
  return isBearer(url, req, acceptsBearer) ? undefined : REVOKED;
}

/** True for a good token in the header, and no key beside it. */
function isBearer(url: URL, req: IncomingMessage, accepts: (token: string) => boolean): boolean {
  const [, token] = /^Bearer ([\w-]+)$/.exec(req.headers.authorization ?? '') ?? [];
  return token !== undefined && !url.searchParams.has('api_key') && accepts(token);
}

function refuseKey(url: URL, req: IncomingMessage, apiKey: string): string | undefined {
  const key = url.searchParams.get('api_key');
  if (key === apiKey) return undefined;
  return errorBody(
    11,
    key === null && req.headers.authorization === undefined ? 'authorization failed' : 'api key not found',
  );
}

function refusePath(edition: ApiOptions['edition'], { module, name }: Target): string | undefined {
  const known = (facts: ModelFacts): boolean => edition !== 'flowlu' || facts.availability !== 'aspro';
  if (!modelsOf(module).some(known)) return errorBody(31);
  const facts = findModel(name);
  return facts === undefined || !known(facts) ? errorBody(30) : undefined;
}

/** The id that a get asks for; core/user/get without one means the user behind the key. */
function getAnswer(
  portal: Portal,
  { name, id: rawId }: Target,
  query: URLSearchParams,
  check: FaultCheck,
): Buffer | string {
  const id = rawId === undefined && name === 'core.user' ? portal.table(name).at(0) : toId(rawId);
  if (id === undefined) return errorBody(rawId === undefined ? 12 : 20);
  return getBody(portal, name, id, query, check) ?? errorBody(20);
}

/** Form fields and JSON both become a record of values. */
async function readFields(req: IncomingMessage): Promise<Record<string, Value>> {
  const body = await readBody(req);
  if (body === '') return {};
  if (req.headers['content-type']?.includes('json')) return JSON.parse(body) as Record<string, Value>;
  return Object.fromEntries(new URLSearchParams(body));
}

async function mutate(portal: Portal, facts: ModelFacts, target: Target, req: IncomingMessage): Promise<string> {
  const { name, method } = target;
  if (!facts.methods.includes(method) || (method !== 'delete' && req.method !== 'POST')) return errorBody(30);
  if (method === 'create') {
    const change = portal.create(name, await readFields(req));
    return `{"response":{"id":${change.id},"_resultMessage":"ok"}}`;
  }
  const id = toId(target.id);
  if (id === undefined || !portal.table(name).has(id)) return errorBody(20);
  if (method === 'delete') portal.remove(name, id);
  else portal.update(name, id, await readFields(req));
  return JSON.stringify({ response: { id: String(id) } });
}
