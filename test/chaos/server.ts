/** A PostgreSQL server of the test's own, to be stopped and started as it likes. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverAccount } from '../../src/db/embedded/account.ts';
import { findBinaries, run } from '../../src/db/embedded/binaries.ts';
import { type Cluster, initialise, start, stop } from '../../src/db/embedded/cluster.ts';
import { runnableBy } from '../../src/db/embedded/programs.ts';
import { silent } from '../../src/migrate/log.ts';

export interface OwnServer {
  readonly url: string;
  /** Immediate shutdown: every backend is killed, the next start recovers. */
  crash(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

const PASSWORD = 'own-server';
const STOP_MAX_MS = 30_000;

/** Creates and starts a server; what it has committed survives its crashes, as fsync within one machine's uptime. */
export async function startOwnServer(): Promise<OwnServer> {
  const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-chaos-'));
  await chmod(directory, 0o711);
  const data = join(directory, 'postgres');
  const account = await serverAccount(data);
  const binaries = await runnableBy(account, await findBinaries(), { log: silent, signal: undefined });
  const cluster: Cluster = { data, account, binaries };
  await initialise(cluster, 'flowlu', PASSWORD);
  // The operating system outlives these crashes, so nothing has to reach the disk; the commit must reach the log.
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: 60 };
  const port = await start(cluster, null, settings);
  return {
    url: `postgres://flowlu:${PASSWORD}@127.0.0.1:${port}/postgres`,
    async crash() {
      const args = ['stop', '-s', '-w', '-m', 'immediate', '-D', data];
      await run(binaries.pg_ctl, args, { account, timeoutMs: STOP_MAX_MS });
    },
    async start() {
      await start(cluster, port, settings);
    },
    async close() {
      await stop(cluster).catch(() => {});
      await rm(directory, { recursive: true, force: true });
    },
  };
}
