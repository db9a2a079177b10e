/** What the figures were taken on, and how busy it was. */
import { readFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memory_gb: number;
  readonly system: string;
  readonly node: string;
  /** Share of all cores that others used just before the start, 0 to 1; null where the system does not tell. */
  readonly busyBefore: number | null;
  readonly loadBefore: number;
}

const OBSERVED_MS = 3_000;

/** Describes the machine; watches it idle for a moment. */
export async function describeMachine(): Promise<Machine> {
  const before = await processorTimes();
  await sleep(OBSERVED_MS);
  const after = await processorTimes();
  const busy = before === null || after === null ? null : 1 - (after.idle - before.idle) / (after.all - before.all);
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    memory_gb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    busyBefore: busy,
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}

async function processorTimes(): Promise<{ readonly idle: number; readonly all: number } | null> {
  const line = (await readFile('/proc/stat', 'utf8').catch(() => '')).split('\n')[0] ?? '';
  const times = line.split(/\s+/).slice(1, 9).map(Number);
  if (times.length < 8) return null;
  return { idle: (times[3] ?? 0) + (times[4] ?? 0), all: times.reduce((sum, time) => sum + time, 0) };
}
