/** Processor time of processes: what a machine that others use as well tells more truly than the clock on the wall. */
import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks a second in `/proc`, on every Linux. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Own time and that of children that have ended, in seconds. */
  readonly seconds: number;
}

/** Seconds of processor time that a process and its descendants have used; NaN where the system does not tell. */
export async function processorSeconds(pid: number | undefined): Promise<number> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const stats = (await Promise.all(pids.map(readStat))).filter((stat) => stat !== null);
  const family = new Set([pid]);
  // Children have greater ids than their parents but for the rare wrap-around.
  for (const stat of stats.sort((a, b) => a.pid - b.pid)) if (family.has(stat.parent)) family.add(stat.pid);
  const own = stats.filter((stat) => family.has(stat.pid));
  return own.length === 0 ? Number.NaN : own.reduce((sum, { seconds }) => sum + seconds, 0);
}

async function readStat(pid: string): Promise<Stat | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (text === null) return null;
  // The name, in parentheses, may hold anything.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [parent = 0, ticks] = [fields[1], fields.slice(11, 15).reduce((sum, value) => sum + value, 0)];
  return { pid: Number(pid), parent, seconds: ticks / TICKS_PER_SECOND };
}
