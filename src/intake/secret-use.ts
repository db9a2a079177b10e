/** Which webhook secrets come in: remembered at once, and noted in the database from time to time. */

import type { Sql } from '../postgres/connection.ts';
import { fingerprintsOf, noteSecretUse, readSecretUse, type SecretUse } from '../store/secret-use.ts';

export interface SecretUseNotes {
  /** Remembers that a secret was handed in. @param position its place in the setting, from 0 */
  readonly mark: (position: number) => void;
  /** Notes what came in since the last time. */
  note(sql: Sql): Promise<void>;
  /** What has been noted of each secret, by any process. */
  read(sql: Sql): Promise<readonly SecretUse[]>;
}

/** Keeps notes on the secrets of the setting. */
export function createSecretUse(secrets: readonly string[]): SecretUseNotes {
  let fingerprints: Promise<readonly string[]> | null = null;
  const names = () => {
    fingerprints ??= fingerprintsOf(secrets);
    return fingerprints;
  };
  const latest_ms = secrets.map(() => 0);
  const noted_ms = secrets.map(() => 0);
  return {
    mark(position) {
      latest_ms[position] = Date.now();
    },
    async note(sql) {
      const seen = latest_ms
        .map((ms, position) => ({ ms, position }))
        .filter(({ ms, position }) => ms > (noted_ms[position] ?? 0));
      if (seen.length === 0) return;
      const known = await names();
      await noteSecretUse(sql, new Map(seen.map(({ ms, position }) => [known[position] ?? '', new Date(ms)])));
      for (const { ms, position } of seen) noted_ms[position] = ms;
    },
    async read(sql) {
      return readSecretUse(sql, await names());
    },
  };
}
