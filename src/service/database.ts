/** The database of the settings: the one of `DATABASE_URL`, or the embedded one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../core/log.ts';
import { openEmbedded } from '../embedded/server.ts';
import { readTarget, redactUrl } from '../postgres/url.ts';

export interface OpenDatabase {
  readonly url: string;
  /** The same for logs and pages, without the password. */
  readonly displayUrl: string;
  /** True for the embedded server, whose full connection string may be shown to its user on a terminal. */
  readonly embedded: boolean;
  /** Lets go of the database; end your pools first. */
  close(): Promise<void>;
}

interface OpenOptions {
  readonly url?: string | undefined;
  readonly embeddedDirectory: string;
  readonly log?: Pick<Logger, 'debug' | 'warn'>;
  readonly signal?: AbortSignal;
}

/** False where opening the database of the settings would make an embedded one. */
export function hasDatabase({ url, embeddedDirectory }: Pick<OpenOptions, 'url' | 'embeddedDirectory'>): boolean {
  return url !== undefined || existsSync(join(embeddedDirectory, 'postgres'));
}

/**
 * Opens the database that the settings name.
 * @throws DatabaseUrlError for a URL that is none; EmbeddedDatabaseError when the embedded server cannot run.
 */
export async function openDatabase(options: OpenOptions): Promise<OpenDatabase> {
  const { url, embeddedDirectory, ...rest } = options;
  if (url !== undefined) {
    const { unused } = readTarget(url); // A typo should show now, not at the first query.
    if (unused.length > 0) rest.log?.warn({ parameters: unused }, 'parameters of DATABASE_URL that nothing here uses');
    return { url, displayUrl: redactUrl(url), embedded: false, close: async () => {} };
  }
  const server = await openEmbedded({ directory: embeddedDirectory, ...rest });
  return { url: server.url, displayUrl: redactUrl(server.url), embedded: true, close: server.close };
}
