/**
 * A Flowlu portal with state on a loopback port: rows, changes, webhooks, limits and every known oddity.
 * It shares no code with the service, so that it can bear witness.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { send } from './answers.ts';
import { BASE_PATH, createApi } from './api.ts';
import { asSeenFaults, type PortalProfile } from './as-seen.ts';
import { CONTROL_PATH, createControl } from './control.ts';
import { clearFaults, type Faults } from './faults.ts';
import { createOAuthServer, OAUTH_PATH, type OAuthOptions, type OAuthServer } from './oauth.ts';
import { createPortal, type Portal } from './portal.ts';
import { hash, randomFrom } from './random.ts';
import { createRequestLog, type RequestLog } from './requests.ts';
import { createWebhookSender, type WebhookSender } from './webhooks.ts';

export type { Faults } from './faults.ts';
export { clearFaults } from './faults.ts';
export { ExactNumber, fromJson, type SimRecord, toJson, type Value } from './json.ts';
export type { Change, Portal } from './portal.ts';
export type { RequestLog } from './requests.ts';
export type { WebhookSender } from './webhooks.ts';

export interface SimulatorOptions {
  /** Same seed, same portal. Default 1. */
  seed?: number;
  /** Rows over all models; default 0, an empty portal. */
  rows?: number;
  /** Replaces the count of single models, e.g. `{ 'crm.account': 100_000 }`. */
  rowsPerModel?: Readonly<Record<string, number>>;
  apiKey?: string;
  /** Lets in bearers of its tokens, and nobody by key. */
  oauth?: OAuthOptions;
  /** 0 = unlimited (default); else 429 for every request beyond this many in any second. */
  requestsPerSecond?: number;
  latencyMs?: number;
  /** IANA zone in which date-times are written; default UTC. */
  timeZone?: string;
  /** Default 0, any free port. */
  port?: number;
  /** `flowlu` answers error 31 for modules that only the sister edition has. Default both. */
  edition?: 'flowlu' | 'aspro' | 'both';
  clock?: () => Date;
  /** Last day of the seeded rows, which span three and a half years; default 2025-07-01. */
  historyEnds?: Date;
  faults?: Faults;
  /** Share (0..1) of seeded free texts with NUL, lone surrogates and the like; default 0. */
  uglyText?: number;
  /** `as-seen`: as clients saw live tenants, where that differs from the documentation. Default `documented`. */
  profile?: PortalProfile;
}

export interface Simulator {
  /** Ends in `/api/v1/module`. */
  readonly baseUrl: string;
  /** Ends in `/_simulator`. */
  readonly controlUrl: string;
  readonly apiKey: string;
  readonly portal: Portal;
  /** Switches; change them at any time. */
  readonly faults: Faults;
  /** Change at any time. */
  readonly limits: { requestsPerSecond: number; latencyMs: number };
  readonly requests: RequestLog;
  readonly webhooks: WebhookSender;
  /** The authorisation server; null without the option. */
  readonly oauth: OAuthServer | null;
  /** Address of its pages, without a slash at the end. */
  readonly oauthUrl: string;
  /** Ends all faults but those that belong to the profile. */
  restoreProfile(): void;
  /** The other host that redirects point at. */
  readonly elsewhere: { readonly sawKey: boolean; readonly requests: number };
  close(): Promise<void>;
}

async function listen(handler: RequestListener, port: number): Promise<{ server: Server; origin: string }> {
  const server = createServer({ keepAliveTimeout: 60_000 }, handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Starts a portal; rejects when the port is taken. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { seed = 1, apiKey = 'simulator-key', timeZone = 'UTC', edition = 'both', clock = () => new Date() } = options;
  const { rows = 0, rowsPerModel, requestsPerSecond = 0, latencyMs = 0, uglyText = 0 } = options;
  const asSeen = options.profile === 'as-seen';
  const ordinary = (): Faults => (asSeen ? asSeenFaults() : {});
  const faults: Faults = { ...ordinary(), ...options.faults };
  const restoreProfile = (): void => {
    clearFaults(faults);
    Object.assign(faults, ordinary());
  };
  const limits = { requestsPerSecond, latencyMs };
  const portal = createPortal({
    seed,
    rows,
    rowsPerModel,
    timeZone,
    uglyText,
    asSeen,
    clock,
    faults,
    historyEnds: options.historyEnds,
  });
  const requests = createRequestLog();
  const webhooks = createWebhookSender(portal, faults, randomFrom(hash(seed, 2)));
  const oauth = options.oauth === undefined ? null : createOAuthServer(options.oauth);
  const closing = new AbortController();

  const elsewhere = { sawKey: false, requests: 0 };
  const other = await listen((req, res) => {
    elsewhere.requests++;
    const everything = `${req.url} ${JSON.stringify(req.headers)}`;
    if (everything.includes(apiKey) || everything.includes(encodeURIComponent(apiKey))) elsewhere.sawKey = true;
    send(res, 200, '<html><body>Somewhere else</body></html>', 'text/html; charset=utf-8');
  }, 0);

  const api = createApi({
    portal,
    faults,
    requests,
    apiKey,
    ...(oauth !== null && { acceptsBearer: oauth.accepts }),
    edition,
    limits,
    random: randomFrom(hash(seed, 3)),
    elsewhere: () => other.origin,
    signal: closing.signal,
  });
  const control = createControl({
    portal,
    faults,
    restoreProfile,
    limits,
    requests,
    webhooks,
    elsewhere,
    random: randomFrom(hash(seed, 4)),
  });

  const route: RequestListener = (req, res) => {
    const url = new URL(req.url ?? '/', 'http://localhost');
    const handled = url.pathname.startsWith(`${BASE_PATH}/`)
      ? api(req, res, url)
      : url.pathname.startsWith(`${CONTROL_PATH}/`)
        ? control(req, res, url)
        : oauth !== null && url.pathname.startsWith(`${OAUTH_PATH}/`)
          ? oauth.handle(req, res, url)
          : Promise.resolve(send(res, 404, '<html><body>Not found</body></html>', 'text/html; charset=utf-8'));
    handled.catch((error: unknown) => {
      // A mistake of the simulator must be seen as one, not as a portal's fault.
      if (!res.headersSent)
        send(res, 599, `simulator: ${error instanceof Error ? error.stack : String(error)}`, 'text/plain');
      else res.destroy();
    });
  };
  const main = await listen(route, options.port ?? 0).catch(async (error: unknown) => {
    await shut(other.server);
    throw error;
  });

  return {
    baseUrl: main.origin + BASE_PATH,
    controlUrl: main.origin + CONTROL_PATH,
    apiKey,
    portal,
    faults,
    limits,
    requests,
    webhooks,
    oauth,
    oauthUrl: main.origin + OAUTH_PATH,
    elsewhere,
    restoreProfile,
    close: async () => {
      closing.abort();
      webhooks.close();
      await Promise.all([shut(main.server), shut(other.server)]);
    },
  };
}
