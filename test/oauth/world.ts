/** A portal with a strict authorisation server, a database, and whatever logs in and asks there. */
import { createHash } from 'node:crypto';
import { createLogger, type Logger } from '../../src/core/log.ts';
import { createClient, type FlowluClient } from '../../src/flowlu/client.ts';
import { createPace, localBudget } from '../../src/flowlu/pace.ts';
import { createCipher } from '../../src/oauth/cipher.ts';
import { beginLogin, completeLogin, type LoginAnswer, type LoginDeps, readAnswer } from '../../src/oauth/login.ts';
import { createTokenSource } from '../../src/oauth/tokens.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { readGrant } from '../../src/store/grant.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import type { OAuthServer } from '../simulator/oauth.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const REDIRECT = 'https://mirror.example.com/oauth/callback';
const ACCOUNT = { module: 'crm', model: 'account', name: 'crm.account' } as const;
const KEY = createHash('sha256').update('a key of the tests').digest();
const CLIENT_ID = 'mirror-app';
const CLIENT_SECRET = 'client-secret-never-to-be-seen';

export interface Replica {
  readonly client: FlowluClient;
  /** Asks for a page; resolves with the number of rows. */
  ask(): Promise<number>;
}

export interface World {
  readonly portal: Simulator;
  readonly server: OAuthServer;
  readonly database: TestDatabase;
  readonly sql: Sql;
  readonly deps: LoginDeps;
  readonly log: Logger;
  /** All lines ever logged, and all errors that `failing` has seen. */
  readonly heard: string[];
  /** A process of the mirror, with a pool of its own, perhaps by another address of the database. */
  replica(databaseUrl?: string): Replica;
  /** Sends a browser to the portal; what it brings back. */
  browse(url: string): Promise<LoginAnswer>;
  /** Logs in from start to end. */
  logIn(): Promise<void>;
  /** Lets time pass for the stored grant, in seconds. */
  age(seconds: number): Promise<void>;
  /** Requests that reached the API since the last call. */
  apiRequests(): number;
  close(): Promise<void>;
}

export async function startWorld(dialect?: 'documented'): Promise<World> {
  const [portal, database] = await Promise.all([
    startSimulator({
      rowsPerModel: { 'crm.account': 7 },
      oauth: {
        clientId: CLIENT_ID,
        clientSecret: CLIENT_SECRET,
        redirectUrls: [REDIRECT],
        lifetime_s: 3_600,
        ...(dialect && { dialect }),
      },
    }),
    createTestDatabase(),
  ]);
  const { sql } = database;
  const server = portal.oauth as OAuthServer;
  const heard: string[] = [];
  const log = createLogger({ level: 'trace', stream: { write: (line) => heard.push(line) } });
  const cipher = createCipher([KEY]);
  const deps: LoginDeps = {
    sql,
    cipher,
    client: {
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      authorizeUrl: `${portal.oauthUrl}/authorize`,
      tokenUrl: `${portal.oauthUrl}/${dialect === 'documented' ? 'access_token' : 'token'}`,
      redirectUrl: REDIRECT,
    },
  };
  const pools: Sql[] = [];
  const browse = async (url: string) => {
    const response = await fetch(url, { redirect: 'manual' });
    return readAnswer(response.headers.get('location') ?? '');
  };
  return {
    portal,
    server,
    database,
    sql,
    deps,
    log,
    heard,
    replica(databaseUrl = database.url) {
      const pool = connect(databaseUrl, { applicationName: 'flowlu-mirror replica', max: 4 });
      pools.push(pool);
      const stop = new AbortController().signal;
      const client = createClient({
        baseUrl: portal.baseUrl,
        authorization: createTokenSource({ sql: pool, client: deps.client, cipher, log, stop }),
        pace: createPace(0, localBudget()),
        retry: { attempts: 3, baseMs: 1 },
        timeoutMs: 5_000,
      });
      return {
        client,
        ask: async () => (await client.list({ ...ACCOUNT }, {}, stop)).items.length,
      };
    },
    browse,
    async logIn() {
      const { url } = await beginLogin(deps);
      await completeLogin(deps, await browse(url));
    },
    async age(seconds) {
      await sql`
        update sync.oauth_grant set issued_at = issued_at - ${seconds} * interval '1 second',
               expires_at = expires_at - ${seconds} * interval '1 second',
               next_refresh_at = next_refresh_at - ${seconds} * interval '1 second'`;
    },
    apiRequests() {
      const count = portal.requests.total();
      portal.requests.clear();
      return count;
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.end({ timeout: 5 })));
      await portal.close();
      await database.close();
    },
  };
}

/** The error of a promise that should fail; what it says is kept. */
export async function failing(world: World, promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Error)) throw new Error(`expected an error, got ${String(error)}`);
  world.heard.push(`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`);
  return error;
}

/** State and generation of the grant. */
export async function grantOf({ sql }: World) {
  const grant = await readGrant(sql);
  return grant && { state: grant.state, generation: Number(grant.generation), problem: grant.problem };
}

/** Fails when anything secret was ever logged, thrown, or stored as it stands. */
export async function expectNoSecretTold({ server, heard, sql }: World): Promise<void> {
  const stored = await sql`select to_json(g)::text as text from sync.oauth_grant g
                            union all select to_json(r)::text from sync.oauth_requests r`;
  const all = [...heard, ...stored.map(({ text }) => String(text))].join('\n');
  const told = [...server.secrets, ...server.states, CLIENT_SECRET].filter((secret) => all.includes(secret));
  if (told.length > 0) throw new Error(`${told.length} of ${server.secrets.size} secrets were told`);
  if (server.secrets.size < 3) throw new Error('there were no secrets to look for');
}
