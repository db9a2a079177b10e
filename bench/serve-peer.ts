/** The peer in a process of its own: its webhook path behind the leanest server there is, and its bulk upsert. */
import { createServer, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { peerCustomer } from './rows.ts';
import { answerJobs } from './worker.ts';

export type PeerJob =
  | { readonly do: 'listen'; readonly databaseUrl: string; readonly secret: string; readonly connections: number }
  | {
      readonly do: 'upsert';
      readonly from: number;
      readonly count: number;
      readonly change: number;
      readonly bytes: number;
    };

/** The port, or how many seconds the rows took. */
export type PeerResult = number;

/** What is used of `@supabase/stripe-sync-engine`, which is installed beside this file and not with the product. */
interface Peer {
  readonly StripeSync: new (config: Readonly<Record<string, unknown>>) => StripeSync;
  runMigrations(config: {
    readonly schema: string;
    readonly databaseUrl: string;
    readonly logger: object;
  }): Promise<void>;
}
interface StripeSync {
  processWebhook(payload: Buffer, signature: string | undefined): Promise<void>;
  upsertCustomers(customers: readonly object[], syncTimestamp: string): Promise<unknown>;
}

const PACKAGE = '@supabase/stripe-sync-engine';
const SCHEMA = 'stripe';
/** Rows that one call hands over: what one page of the peer's source holds. */
const PAGE_SIZE = 100;

let sync: StripeSync | null = null;

answerJobs(async (job: PeerJob): Promise<PeerResult> => (job.do === 'listen' ? await listen(job) : await upsert(job)));

async function listen({ databaseUrl, secret, connections }: PeerJob & { do: 'listen' }): Promise<number> {
  // Its ES module cannot find its own migrations.
  const peer = createRequire(import.meta.url)(PACKAGE) as Peer;
  await peer.runMigrations({ schema: SCHEMA, databaseUrl, logger: failing });
  const engine = new peer.StripeSync({
    schema: SCHEMA,
    stripeSecretKey: 'not used: nothing is ever asked of the API',
    stripeWebhookSecret: secret,
    autoExpandLists: false,
    backfillRelatedEntities: false,
    revalidateObjectsViaStripeApi: [],
    poolConfig: { connectionString: databaseUrl, max: connections },
  });
  sync = engine;
  const server = createServer((request, response) => {
    const answer = (status: number, body: string) => {
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    };
    bodyOf(request)
      .then((body) => engine.processWebhook(body, request.headers['stripe-signature'] as string | undefined))
      .then(
        () => answer(200, '{"received":true}'),
        (error: unknown) => answer(400, JSON.stringify({ error: String(error) })),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** The migrations of the peer report a failure only to their log. */
const failing = {
  info: () => {},
  error: (error: unknown) => {
    throw error;
  },
};

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function upsert({ from, count, change, bytes }: PeerJob & { do: 'upsert' }): Promise<number> {
  if (sync === null) throw new Error('the peer does not run yet');
  const rows = Array.from({ length: count }, (_, index) => peerCustomer(from + index, change, bytes));
  const startedAt = performance.now();
  for (let start = 0; start < count; start += PAGE_SIZE) {
    await sync.upsertCustomers(rows.slice(start, start + PAGE_SIZE), new Date().toISOString());
  }
  return (performance.now() - startedAt) / 1_000;
}
