/** A PostgreSQL server of the test's own, to be stopped and started as it likes. */
import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { serverAccount } from '../../src/embedded/account.ts';
import { anotherPort, type Cluster, passwordOf, recordedPort, start, stop } from '../../src/embedded/cluster.ts';
import { findPrograms } from '../../src/embedded/programs.ts';
import { serverDirectory } from '../support/server-directory.ts';

export interface OwnServer {
  readonly url: string;
  /** Immediate shutdown: every backend is killed, the next start recovers. */
  crash(): Promise<void>;
  start(): Promise<void>;
  /** Starts a standby with what this server has by now; `select pg_promote()` makes it a primary. It hears of nothing new. */
  standby(): Promise<OwnServer>;
  close(): Promise<void>;
}

/** Creates and starts a server; what it has committed survives its crashes, as fsync within one machine's uptime. */
export async function startOwnServer(): Promise<OwnServer> {
  const { directory, cluster } = await newCluster();
  // The operating system outlives these crashes, so nothing has to reach the disk; the commit must reach the log.
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: 60 };
  return await running(directory, cluster, await passwordOf(cluster, settings));
}

async function newCluster() {
  const directory = await serverDirectory('chaos');
  const data = join(directory, 'postgres');
  const account = await serverAccount(data);
  return { directory, cluster: { data, account, programs: await findPrograms(account) } };
}

async function running(directory: string, cluster: Cluster, password: string): Promise<OwnServer> {
  let port: number | null = null;
  const run = async () => {
    while ((await start(cluster, port ?? anotherPort())) !== 'started') await delay(100);
    port = await recordedPort(cluster);
  };
  await run();
  return {
    url: `postgres://flowlu:${password}@127.0.0.1:${port}/postgres`,
    crash: () => stop(cluster, 'immediate'),
    start: run,
    async standby() {
      const copy = await newCluster();
      await stop(cluster);
      // With `cp`, since the files belong to the account of the server.
      execFileSync('cp', ['-a', cluster.data, copy.cluster.data]);
      execFileSync('cp', ['-a', join(copy.cluster.data, 'PG_VERSION'), join(copy.cluster.data, 'standby.signal')]);
      await run();
      return await running(copy.directory, copy.cluster, password);
    },
    async close() {
      await stop(cluster).catch(() => {});
      await rm(directory, { recursive: true, force: true });
    },
  };
}
