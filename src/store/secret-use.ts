/**
 * Which webhook secrets are in use, so that an old one can be retired when nothing has come with it for long enough.
 *
 * Secrets are known by a fingerprint: neither their values nor anything that helps to guess them is stored. The fingerprint is
 * slow to compute, so that even a short secret is not found by trying.
 */
import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { Sql } from '../postgres/connection.ts';
import { noteSecretsUsed, readSettings } from './settings.ts';

/** When a secret was last handed in, by its place in the setting. */
export interface SecretUse {
  /** 1 for the first. */
  readonly position: number;
  /** ISO 8601, to within a quarter of a minute; null where it was never seen. */
  readonly last_used_at: string | null;
}

const SALT = 'flowlu-mirror webhook secret';
const FINGERPRINT_BYTES = 12;
/** Fingerprints kept, the latest used first. */
const MAX_REMEMBERED = 50;

/** Fingerprints of secrets, in their order. */
export async function fingerprintsOf(secrets: readonly string[]): Promise<readonly string[]> {
  const derive = promisify<string, string, number, Buffer>(scrypt);
  return Promise.all(secrets.map(async (secret) => (await derive(secret, SALT, FINGERPRINT_BYTES)).toString('hex')));
}

/** Notes uses; of several replicas the latest counts. */
export async function noteSecretUse(sql: Sql, uses: ReadonlyMap<string, Date>): Promise<void> {
  if (uses.size === 0) return;
  const used = Object.fromEntries([...uses].map(([name, at]) => [name, at.toISOString()]));
  await noteSecretsUsed(sql, used, MAX_REMEMBERED);
}

/** Reads when each secret was last used. */
export async function readSecretUse(sql: Sql, fingerprints: readonly string[]): Promise<readonly SecretUse[]> {
  const { webhook_secrets_used: used = {} } = await readSettings(sql, 'webhook_secrets_used');
  return fingerprints.map((name, index) => ({ position: index + 1, last_used_at: used[name] ?? null }));
}
