/** Names of processes in leases and journals, and whether the process behind a name is known to be dead. */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Where process ids mean what they mean here: this boot of this machine, this container. Null where that is unknown. */
const SPACE = pidSpace();

/** Names this process: machine, process id, and where that id counts. */
export function thisHolder(): string {
  return [hostname(), process.pid, ...(SPACE === null ? [] : [SPACE])].join(':');
}

/** True only for a process that ran here and is gone; of one that ran elsewhere nothing is known. */
export function isDead(holder: string): boolean {
  const [, pid, space] = /:(\d+):([0-9a-f]+)$/.exec(holder) ?? [];
  if (pid === undefined || SPACE === null || space !== SPACE) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function pidSpace(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    return createHash('sha256')
      .update(`${boot}${readlinkSync('/proc/self/ns/pid')}`)
      .digest('hex')
      .slice(0, 8);
  } catch {
    return null; // Not Linux: two machines may share their name, so nobody is taken for dead.
  }
}
