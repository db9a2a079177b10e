/**
 * Which webhook secrets are in use, so that an old one can be retired when nothing has come with it for long enough.
 * Remembered at once, and noted in the database from time to time.
 *
 * Secrets are known by a fingerprint: neither their values nor anything that helps to guess them is stored. The fingerprint is
 * slow to compute, so that even a short secret is not found by trying.
 */
import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { Sql } from '../postgres/connection.ts';
import { noteSecretsUsed, readSettings } from '../store/settings.ts';

/** When a secret was last handed in, by its place in the setting. */
export interface SecretUse {
  readonly position: number;
  /** ISO 8601, of other processes to within a quarter of a minute; null where it was never seen. */
  readonly last_used_at: string | null;
}

const SALT = 'flowlu-mirror webhook secret';
const FINGERPRINT_BYTES = 12;
/** Fingerprints kept, the latest used first. */
const MAX_REMEMBERED = 50;

async function fingerprintOf(secret: string): Promise<string> {
  const derive = promisify<string, string, number, Buffer>(scrypt);
  return (await derive(secret, SALT, FINGERPRINT_BYTES)).toString('hex');
}

/** Keeps notes on the secrets of the setting. @param onFirst a secret was handed in that this process had not seen yet */
export function createSecretUse(secrets: readonly string[], onFirst = () => {}) {
  let fingerprints: Promise<readonly string[]> | null = null;
  const names = () => (fingerprints ??= Promise.all(secrets.map(fingerprintOf)));
  const latest_ms = secrets.map(() => 0);
  const noted_ms = secrets.map(() => 0);
  return {
    /** Remembers that a secret was handed in. @param position its place in the setting, from 0 */
    mark(position: number): void {
      const isFirst = latest_ms[position] === 0;
      latest_ms[position] = Date.now();
      if (isFirst) onFirst();
    },
    async note(sql: Sql): Promise<void> {
      const seen = latest_ms
        .map((ms, position) => ({ ms, position }))
        .filter(({ ms, position }) => ms > (noted_ms[position] ?? 0));
      if (seen.length === 0) return;
      const known = await names();
      const used = seen.map(({ ms, position }) => [known[position] ?? '', new Date(ms).toISOString()]);
      await noteSecretsUsed(sql, Object.fromEntries(used), MAX_REMEMBERED);
      for (const { ms, position } of seen) noted_ms[position] = ms;
    },
    /** What has been noted of each secret by any process, and what this one knows beyond that. */
    async read(sql: Sql): Promise<readonly SecretUse[]> {
      const { webhook_secrets_used: used = {} } = await readSettings(sql, 'webhook_secrets_used');
      return (await names()).map((name, index) => {
        const noted_at = used[name] ?? null;
        const latest_at = latest_ms[index] === 0 ? null : new Date(latest_ms[index] ?? 0).toISOString();
        const isLater = latest_at !== null && (noted_at === null || latest_at > noted_at);
        return { position: index + 1, last_used_at: isLater ? latest_at : noted_at };
      });
    },
  };
}
