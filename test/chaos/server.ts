/** A PostgreSQL server of the test's own, to be stopped and started as it likes. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { serverAccount } from '../../src/embedded/account.ts';
import { anotherPort, passwordOf, recordedPort, start, stop } from '../../src/embedded/cluster.ts';
import { findPrograms } from '../../src/embedded/programs.ts';

export interface OwnServer {
  readonly url: string;
  /** Immediate shutdown: every backend is killed, the next start recovers. */
  crash(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Creates and starts a server; what it has committed survives its crashes, as fsync within one machine's uptime. */
export async function startOwnServer(): Promise<OwnServer> {
  const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-chaos-'));
  await chmod(directory, 0o711);
  const data = join(directory, 'postgres');
  const account = await serverAccount(data);
  const cluster = { data, account, programs: await findPrograms(account) };
  // The operating system outlives these crashes, so nothing has to reach the disk; the commit must reach the log.
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: 60 };
  const password = await passwordOf(cluster, settings);
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
    async close() {
      await stop(cluster).catch(() => {});
      await rm(directory, { recursive: true, force: true });
    },
  };
}
