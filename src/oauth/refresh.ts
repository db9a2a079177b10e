/**
 * Refreshing: one process at a time, and what it gets is never used twice nor dropped.
 *
 * Portals rotate refresh tokens, and a strict one takes a second use for a theft and withdraws everything. So whoever
 * refreshes locks the grant's row, looks whether somebody else has been faster, and only then asks. A process that
 * dies while the answer is on its way loses it: the next one tries the old token, which a portal with a period of
 * grace accepts, and otherwise says plainly why logging in is needed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Sql, type Transaction, transaction } from '../db/connection.ts';
import {
  lockGrant,
  noteRefresh,
  postponeRefresh,
  readGrant,
  refuseGrant,
  rotateGrant,
  type StoredGrant,
} from '../db/oauth.ts';
import type { Logger } from '../log.ts';
import type { Cipher } from './cipher.ts';
import { EXCHANGE_TIMEOUT_MS, type Exchange, exchange, type OAuthClient } from './endpoint.ts';
import { openTokens, sealTokens } from './vault.ts';

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
const MAX_WAIT_S = 600;
/** How often, and for how long in all, new tokens are put away when the database fails at the worst moment. */
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
  const spent: { next: { sealed: string; lifetime_s: number | null } | null } = { next: null };
  try {
    return await transaction(sql, LIMITS, async (tx) => {
      const grant = await lockGrant(tx);
      if (grant === null || grant.generation !== generation || grant.state !== 'active' || grant.wait_ms > 0) {
        return grant;
      }
      stop.throwIfAborted();
      const { outcome, next } = await ask(deps, grant);
      spent.next = next;
      await settle(tx, deps, grant, outcome, next, isLost);
      return readGrant(tx);
    });
  } catch (error) {
    if (spent.next === null) throw error;
    // The old refresh token is spent, and only this process knows the new one.
    deps.log.warn({ err: error }, 'new tokens could not be stored at once; trying again');
    await storeLate(sql, generation, spent.next);
    return readGrant(sql);
  }
}

type Next = { readonly sealed: string; readonly lifetime_s: number | null } | null;

async function ask(
  { client, cipher, onRefresh }: RefreshDeps,
  grant: StoredGrant,
): Promise<{ readonly outcome: Exchange; readonly next: Next }> {
  const { refresh } = openTokens(cipher, grant.clientId, grant.sealed);
  const outcome: Exchange =
    refresh === null
      ? { kind: 'refused', reason: 'the portal gave no refresh token' }
      : await exchange(client, { type: 'refresh_token', refresh });
  onRefresh?.(outcome.kind);
  if (outcome.kind !== 'granted') return { outcome, next: null };
  const { tokens } = outcome;
  // A portal that does not rotate leaves the refresh token out: the old one stays good.
  const sealed = sealTokens(cipher, grant.clientId, { ...tokens, refresh: tokens.refresh ?? refresh });
  return { outcome, next: { sealed, lifetime_s: tokens.lifetime_s } };
}

async function settle(
  tx: Transaction,
  { log }: RefreshDeps,
  grant: StoredGrant,
  outcome: Exchange,
  next: Next,
  isLost: boolean,
): Promise<void> {
  const { generation } = grant;
  switch (outcome.kind) {
    case 'granted':
      if (next !== null) await rotateGrant(tx, { generation, ...next });
      log.info({ generation, lifetime_s: outcome.tokens.lifetime_s }, 'the access token was refreshed');
      return;
    case 'refused': {
      const hint = isLost ? '; an earlier refresh was cut off, and the tokens it brought are lost' : '';
      const problem = `the portal refuses the refresh token (${outcome.reason})${hint}`;
      await refuseGrant(tx, generation, problem);
      log.error({ problem }, 'Flowlu has withdrawn the authorization: run flowlu-mirror login');
      return;
    }
    case 'failed': {
      const wait_s = Math.min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** Math.min(grant.failures, 20));
      await postponeRefresh(tx, generation, { problem: outcome.reason, wait_s, answered: outcome.answered });
      log.warn({ problem: outcome.reason, wait_s }, 'the access token could not be refreshed');
    }
  }
}

async function storeLate(sql: Sql, generation: string, next: NonNullable<Next>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // False where the commit had gone through after all.
      await rotateGrant(sql, { generation, ...next });
      return;
    } catch (error) {
      if (attempt === STORE_ATTEMPTS) throw error;
      await sleep(STORE_PAUSE_MS);
    }
  }
}
