/** The access token as a source of credentials: read from the database, refreshed before it ends or when refused. */
import { createRedactor } from '../core/redact.ts';
import { onceIn } from '../core/time.ts';
import type { Authorization, Credentials } from '../flowlu/authorization.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { readGrant, type StoredGrant } from '../store/grant.ts';
import { openTokens, SealError } from './cipher.ts';
import { type RefreshDeps, refreshGrant } from './refresh.ts';

/** How old what is in memory may be: within it a logout, a login or another replica's refresh shows. */
const RECHECK_MS = 20_000;
/** Refreshed so long before its end, or after four fifths of a short life. */
const EARLY_MS = 5 * 60_000;
const EARLY_SHARE = 0.2;
/** A token refused so soon after it was issued is rarely what is wrong: others are asked for once, and then no more. */
const YOUNG_MS = 30_000;
/** How long a process keeps to that one attempt. */
const HURRY_EVERY_MS = 10 * 60_000;
const MAX_PATIENCE_MS = 3_600_000;

interface Held {
  readonly credentials: Credentials;
  /** When to look into the database again, on this process's monotonic clock. */
  readonly recheckAtMs: number;
}

/** A source of credentials for all requests of this process; several processes may share the grant. */
export function createTokenSource(deps: RefreshDeps): Authorization {
  const { sql, cipher, client } = deps;
  const generations = new WeakMap<Credentials, string>();
  let held: Held | null = null;
  /** The newest generation that the portal has accepted from us. */
  let proven: string | null = null;
  let patienceMs = YOUNG_MS;
  /** Tokens so young are renewed all the same now and then: somebody may have withdrawn them at once. */
  const mayHurry = onceIn(HURRY_EVERY_MS);
  // All callers of this process share one look and one refresh, so that they hold one connection at most.
  const loaded = shared(load);
  const refreshed = shared((generation: string) => refreshGrant(deps, generation));

  async function load(): Promise<Held> {
    const stored = await readGrant(sql);
    const grant = isDue(stored) ? await refreshed(stored.generation) : stored;
    const usable = requireUsable(grant, client.clientId);
    const { access } = readTokens(usable);
    const credentials = { header: `Bearer ${access}`, redact: createRedactor([access]) };
    generations.set(credentials, usable.generation);
    const freshMs = Math.min(RECHECK_MS, Math.max(0, (usable.left_ms ?? RECHECK_MS) - earlyMs(usable)));
    held = { credentials, recheckAtMs: performance.now() + freshMs };
    return held;
  }

  function readTokens(grant: StoredGrant) {
    try {
      return openTokens(cipher, grant.clientId, grant.sealed);
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      throw new FlowluError('unauthorized', `the tokens cannot be read: ${error.message}`, { cause: error });
    }
  }

  return {
    async credentials(signal) {
      signal.throwIfAborted();
      if (held !== null && performance.now() < held.recheckAtMs) return held.credentials;
      return (await loaded()).credentials;
    },
    accepted(credentials) {
      const generation = generations.get(credentials) ?? null;
      if (generation === proven) return;
      proven = generation;
      patienceMs = YOUNG_MS;
    },
    async renew(refused, signal) {
      signal.throwIfAborted();
      const generation = generations.get(refused);
      held = null;
      const stored = await readGrant(sql);
      if (stored === null || stored.state !== 'active') return false;
      // Whoever was refused with older ones only has to take those that are there by now.
      if (stored.generation !== generation) return true;
      const lifetimeMs = stored.left_ms === null ? Number.POSITIVE_INFINITY : stored.age_ms + stored.left_ms;
      if (stored.wait_ms > 0) return false;
      if (stored.age_ms < Math.min(patienceMs, lifetimeMs / 2) && !mayHurry()) return false;
      // Where fresh tokens are refused as well, each has to wait twice as long as the one before.
      if (proven !== generation) patienceMs = Math.min(MAX_PATIENCE_MS, 2 * patienceMs);
      const next = await refreshed(stored.generation);
      return next !== null && next.state === 'active' && next.generation !== generation;
    },
  };
}

/** Runs one call at a time; whoever calls meanwhile gets the outcome of the one under way. */
function shared<A extends readonly unknown[], T>(work: (...given: A) => Promise<T>): (...given: A) => Promise<T> {
  let running: Promise<T> | null = null;
  return (...given) => {
    running ??= work(...given).finally(() => {
      running = null;
    });
    return running;
  };
}

/** Where the tokens end soon and the portal may be asked for others. */
function isDue(grant: StoredGrant | null): grant is StoredGrant {
  if (grant === null || grant.state !== 'active' || grant.left_ms === null || grant.wait_ms > 0) return false;
  return grant.left_ms < earlyMs(grant);
}

function earlyMs({ age_ms, left_ms }: StoredGrant): number {
  return Math.min(EARLY_MS, ((left_ms ?? 0) + age_ms) * EARLY_SHARE);
}

const LOG_IN = 'run flowlu-mirror login';

/** @throws FlowluError of kind unauthorized, or server where a pause has to be kept. */
function requireUsable(grant: StoredGrant | null, clientId: string): StoredGrant {
  if (grant === null) throw new FlowluError('unauthorized', `nobody is logged in to Flowlu: ${LOG_IN}`);
  if (grant.clientId !== clientId) {
    throw new FlowluError('unauthorized', `the stored authorization is of another client id: ${LOG_IN}`);
  }
  if (grant.state !== 'active') throw new FlowluError('unauthorized', `${grant.problem}: ${LOG_IN}`);
  if (grant.left_ms !== null && grant.left_ms <= 0) {
    const problem = `the access token has ended and could not be refreshed: ${grant.problem ?? 'not tried yet'}`;
    throw new FlowluError('server', problem, { retryAfterMs: Math.max(0, grant.wait_ms) });
  }
  return grant;
}
