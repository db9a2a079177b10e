/**
 * One PostgreSQL for the whole run: an embedded one in a temporary directory, or that of
 * `TEST_DATABASE_URL` (whose role may create databases and roles). Migrated once into a template
 * database, which each test file clones (see support/database.ts).
 */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { openEmbedded } from '../src/embedded/server.ts';
import { migrate } from '../src/migrate/migrate.ts';
import { connect } from '../src/postgres/connection.ts';
import { serverDirectory } from './support/server-directory.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Any database of the server; for creating others. */
    readonly serverUrl: string;
    /** Name of the migrated database to clone. */
    readonly template: string;
  }
}

/** Nothing here must survive a crash. */
const CARELESS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: 200 };

async function openServer(): Promise<{ url: string; close: () => Promise<void> }> {
  const given = process.env.TEST_DATABASE_URL;
  if (given !== undefined && given !== '') return { url: given, close: async () => {} };
  const directory = await serverDirectory('test');
  const server = await openEmbedded({ directory, settings: CARELESS });
  return {
    url: server.url,
    close: async () => {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const server = await openServer();
  const template = `mirror_template_${randomUUID().slice(0, 8)}`;
  const admin = connect(server.url, { applicationName: 'flowlu-mirror tests', max: 1 });
  await admin.unsafe(`create database ${template}`);
  const url = new URL(server.url);
  url.pathname = `/${template}`;
  await migrate(url.href);
  provide('serverUrl', server.url);
  provide('template', template);
  return async () => {
    await admin.unsafe(`drop database ${template} with (force)`);
    await admin.end({ timeout: 5 });
    await server.close();
  };
}
