/** The database of the settings: the one of `DATABASE_URL`, or the embedded one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import type { Logger } from '../core/log.ts';
import { openEmbedded } from '../embedded/server.ts';
import { readTarget, redactUrl } from '../postgres/url.ts';

export interface OpenDatabase {
  readonly url: string;
  /** The same for logs and pages, without the password. */
  readonly displayUrl: string;
  /** True for the embedded server, whose password nobody else has chosen. */
  readonly embedded: boolean;
  /** Lets go of the database; end your pools first. */
  close(): Promise<void>;
}

/** Without an address, the embedded server below the directory. */
type Address = Pick<Config['database'], 'url' | 'dataDir'>;

/** False where opening the database of the settings would make an embedded one. */
export function hasDatabase({ url, dataDir }: Address): boolean {
  return url !== null || existsSync(join(dataDir, 'postgres'));
}

/**
 * Opens the database that the settings name.
 * @throws DatabaseUrlError for a URL that is none; EmbeddedDatabaseError when the embedded server cannot run.
 */
export async function openDatabase(
  { url, dataDir }: Address,
  options: { readonly log?: Pick<Logger, 'debug' | 'warn'>; readonly signal?: AbortSignal } = {},
): Promise<OpenDatabase> {
  if (url !== null) {
    const { unused } = readTarget(url); // A typo should show now, not at the first query.
    if (unused.length > 0)
      options.log?.warn({ parameters: unused }, 'parameters of DATABASE_URL that nothing here uses');
    return { url, displayUrl: redactUrl(url), embedded: false, close: async () => {} };
  }
  const server = await openEmbedded({ directory: dataDir, ...options });
  return { url: server.url, displayUrl: redactUrl(server.url), embedded: true, close: server.close };
}
