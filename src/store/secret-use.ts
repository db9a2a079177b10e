/**
 * Which webhook secrets are in use, so that an old one can be retired when nothing has come with it for long enough.
 *
 * Secrets are known by a fingerprint: neither their values nor anything that helps to guess them is stored. The fingerprint is
 * slow to compute, so that even a short secret is not found by trying.
 */
import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { Sql } from '../postgres/connection.ts';

/** When a secret was last handed in, by its place in the setting. */
export interface SecretUse {
  /** 1 for the first. */
  readonly position: number;
  /** ISO 8601, to within a quarter of a minute; null where it was never seen. */
  readonly last_used_at: string | null;
}

const KEY = 'webhook_secrets_used';
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
  const document = JSON.stringify(Object.fromEntries([...uses].map(([name, at]) => [name, at.toISOString()])));
  await sql`
    insert into sync.settings as s (key, value) values (${KEY}, ${document}::text::jsonb)
        on conflict (key) do update
       set value = (
             select jsonb_object_agg(newest.name, newest.at)
               from (select used.name, max(used.at) as at
                       from (select * from jsonb_each_text(s.value)
                              union all
                             select * from jsonb_each_text(excluded.value)) as used(name, at)
                      group by used.name
                      order by max(used.at) desc
                      limit ${MAX_REMEMBERED}) as newest)`;
}

/** Reads when each secret was last used. */
export async function readSecretUse(sql: Sql, fingerprints: readonly string[]): Promise<readonly SecretUse[]> {
  const [row] = await sql`select value from sync.settings where key = ${KEY}`;
  const used = (row?.value ?? {}) as Readonly<Record<string, string>>;
  return fingerprints.map((name, index) => ({ position: index + 1, last_used_at: used[name] ?? null }));
}
