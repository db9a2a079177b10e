/** Names of processes in leases and journals, and whether a named process is known to be dead. */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Where this process's id is unique: this boot of this machine and this container. Null if unknown. */
const SPACE = pidSpace();

/** Names this process: machine, process id, and the scope in which that id is unique. */
export function thisHolder(): string {
  return [hostname(), process.pid, ...(SPACE === null ? [] : [SPACE])].join(':');
}

/** True only for a process that ran in the same scope and is gone. False if nothing is known about it. */
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
    return null; // Not Linux. Two machines may share a name, so no process is considered dead.
  }
}
