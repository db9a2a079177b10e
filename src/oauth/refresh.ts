/**
 * Refreshing: one process at a time, and what it gets is never used twice nor dropped.
 *
 * Portals rotate refresh tokens, and a strict one takes a second use for a theft and withdraws everything. So whoever
 * refreshes locks the grant's row, looks whether somebody else has been faster, and only then asks. A process that
 * dies while the answer is on its way loses it: the next one tries the old token, which a portal with a period of
 * grace accepts, and otherwise says plainly why logging in is needed.
 */
import pRetry from 'p-retry';
import type { Logger } from '../core/log.ts';
import { type Queryable, type Sql, transaction } from '../postgres/connection.ts';
import {
  lockGrant,
  MAX_WAIT_S,
  noteRefresh,
  postponeRefresh,
  readGrant,
  refuseGrant,
  rotateGrant,
  type StoredGrant,
} from '../store/grant.ts';
import { type Cipher, openTokens, sealTokens } from './cipher.ts';
import { EXCHANGE_TIMEOUT_MS, type Exchange, exchange, type OAuthClient } from './endpoint.ts';

export interface RefreshDeps {
  readonly sql: Sql;
  readonly client: OAuthClient;
  readonly cipher: Cipher;
  readonly log: Logger;
  /** The end of the process: nothing is asked after it. */
  readonly stop: AbortSignal;
  readonly onRefresh?: (outcome: Exchange['kind']) => void;
}

/** Longer than one exchange, so that whoever waits behind one sees its outcome. */
const LOCK_WAIT_MS = 2 * EXCHANGE_TIMEOUT_MS;
const LIMITS = { lockTimeoutMs: LOCK_WAIT_MS, statementTimeoutMs: LOCK_WAIT_MS };
/** Pauses between refreshes that bring nothing: doubled each time, in seconds. */
const FIRST_WAIT_S = 2;
/** How often new tokens are tried to be stored when the database fails at the worst moment, and the pause between. */
const STORE_ATTEMPTS = 30;
const STORE_PAUSE_MS = 1_000;

/**
 * Gets new tokens in the place of those of `generation`, unless somebody else has done so meanwhile.
 * @returns the grant as it stands then: renewed, refused, or with a pause to keep. Null where nobody is logged in.
 * @throws the reason of `stop`, only before anything was asked; the database's errors; SealError.
 */
export async function refreshGrant(deps: RefreshDeps, generation: string): Promise<StoredGrant | null> {
  const { sql, stop } = deps;
  stop.throwIfAborted();
  const isLost = await transaction(sql, LIMITS, (tx) => noteRefresh(tx, generation));
  const course: { asking: Promise<Store> | null; isBroken: boolean } = { asking: null, isBroken: false };
  try {
    return await transaction(sql, LIMITS, async (tx) => {
      const grant = await lockGrant(tx);
      if (grant === null || grant.generation !== generation || grant.state !== 'active' || grant.wait_ms > 0) {
        return grant;
      }
      stop.throwIfAborted();
      course.asking = ask(deps, grant, isLost);
      const store = await course.asking;
      // Where the connection broke meanwhile, the transaction is no more, and what follows does not depend on it.
      if (course.isBroken) return null;
      await store(tx);
      return readGrant(tx);
    });
  } catch (error) {
    course.isBroken = true;
    if (course.asking === null) throw error;
    // The old refresh token is spent, and perhaps only this process knows the new one.
    deps.log.warn({ err: error }, 'what a refresh brought could not be stored at once; trying again');
    const store = await course.asking;
    await pRetry(() => store(sql), { retries: STORE_ATTEMPTS - 1, minTimeout: STORE_PAUSE_MS, factor: 1 });
    return readGrant(sql);
  }
}

/** Stores what came of asking, unless other tokens are there by now. */
type Store = (q: Queryable) => Promise<unknown>;

async function ask(
  { client, cipher, log, onRefresh }: RefreshDeps,
  grant: StoredGrant,
  isLost: boolean,
): Promise<Store> {
  const { generation } = grant;
  const { refresh } = openTokens(cipher, grant.clientId, grant.sealed);
  const outcome: Exchange =
    refresh === null
      ? { kind: 'refused', reason: 'the portal gave no refresh token' }
      : await exchange(client, { type: 'refresh_token', refresh });
  onRefresh?.(outcome.kind);
  switch (outcome.kind) {
    case 'granted': {
      const { access, lifetime_s, refresh: next } = outcome.tokens;
      log.info({ lifetime_s }, 'the access token was refreshed');
      // A portal that does not rotate leaves the refresh token out: the old one stays good.
      const sealed = sealTokens(cipher, grant.clientId, { access, refresh: next ?? refresh });
      // It changes nothing where a commit that seemed to break had gone through after all.
      return (q) => rotateGrant(q, { generation, sealed, lifetime_s });
    }
    case 'refused': {
      const hint = isLost ? '; an earlier refresh was cut off, and the tokens it brought are lost' : '';
      const problem = `the portal refuses the refresh token (${outcome.reason})${hint}`;
      log.error({ problem }, 'Flowlu has withdrawn the authorization: run flowlu-mirror login');
      return (q) => refuseGrant(q, generation, problem);
    }
    case 'failed': {
      const { reason: problem, answered } = outcome;
      const wait_s = Math.min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** Math.min(grant.failures, 20));
      log.warn({ problem, wait_s }, 'the access token could not be refreshed');
      return (q) => postponeRefresh(q, generation, { problem, wait_s, answered });
    }
  }
}
