/** Logins in progress: each is answered once, within its time, by whichever process receives the answer. */
import type { Sql } from '../postgres/connection.ts';

/** Finished ones are kept for a day, so that a waiting process can still read the outcome. */
const KEPT_HOURS = 24;

export interface LoginRequest {
  readonly clientId: string;
  readonly redirectUrl: string;
  readonly sealedVerifier: string;
}

/** Also deletes old ones. */
export async function beginRequest(
  sql: Sql,
  stateHash: string,
  { clientId, redirectUrl, sealedVerifier }: LoginRequest,
  valid_s: number,
): Promise<void> {
  await sql`
    delete from sync.oauth_requests where expires_at < clock_timestamp() - ${KEPT_HOURS} * interval '1 hour'`;
  await sql`
    insert into sync.oauth_requests (state_hash, client_id, redirect_url, sealed_verifier, expires_at)
    values (${stateHash}, ${clientId}, ${redirectUrl}, ${sealedVerifier},
            clock_timestamp() + ${valid_s} * interval '1 second')`;
}

/** Takes a request to answer; null if it does not exist, was taken before, or has expired. */
export async function takeRequest(sql: Sql, stateHash: string, clientId: string): Promise<LoginRequest | null> {
  const [row] = await sql`
    update sync.oauth_requests set answered_at = clock_timestamp()
     where state_hash = ${stateHash} and client_id = ${clientId} and answered_at is null
       and expires_at > clock_timestamp()
    returning client_id as "clientId", redirect_url as "redirectUrl", sealed_verifier as "sealedVerifier"`;
  return (row ?? null) as LoginRequest | null;
}

/** Notes how it ended: `done`, or the problem. */
export async function finishRequest(sql: Sql, stateHash: string, outcome: string): Promise<void> {
  await sql`update sync.oauth_requests set outcome = ${outcome} where state_hash = ${stateHash}`;
}

export async function requestOutcome(sql: Sql, stateHash: string): Promise<string | null> {
  const [row] = await sql`select outcome from sync.oauth_requests where state_hash = ${stateHash}`;
  return (row?.outcome ?? null) as string | null;
}
