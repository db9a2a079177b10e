/** A lock between processes of one machine, as a file that survives nobody's death. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../../postgres/errors.ts';
import { EmbeddedDatabaseError } from './binaries.ts';

const POLL_MS = 100;
/** Longest wait for the lock: its holder may be creating the database or replaying its log. */
const WAIT_MAX_MS = 360_000;
/** No holder needs longer than this, so an older lock is abandoned, whoever has its process id by now. */
const AGE_MAX_MS = 420_000;
/** Breaking an abandoned lock takes milliseconds; an older attempt died in the middle. */
const BREAKING_MAX_MS = 10_000;

/**
 * Takes the lock, waiting for a living holder and replacing a dead one.
 * @returns what releases it.
 * @throws EmbeddedDatabaseError after the longest wait; the signal's reason when it fires.
 */
export async function acquireLock(path: string, signal?: AbortSignal): Promise<() => Promise<void>> {
  const mine = `${process.pid} ${randomUUID()}`;
  const deadline = Date.now() + WAIT_MAX_MS;
  while (Date.now() < deadline) {
    signal?.throwIfAborted();
    try {
      await writeFile(path, mine, { flag: 'wx', mode: 0o600 });
      return async () => {
        if ((await content(path)) === mine) await rm(path, { force: true });
      };
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    const holder = await content(path);
    if (holder !== null && (await isAbandoned(path, holder))) await breakLock(path, holder);
    else await delay(POLL_MS, undefined, signal === undefined ? {} : { signal });
  }
  throw new EmbeddedDatabaseError(`another process has held ${path} for too long: end it, or remove the file`);
}

async function content(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
}

async function isAbandoned(path: string, holder: string): Promise<boolean> {
  const age_ms = Date.now() - ((await stat(path).catch(() => null))?.mtimeMs ?? Date.now());
  // Between its creation and its first byte the file is empty: that holder is alive, or died just then.
  if (holder === '') return age_ms > BREAKING_MAX_MS;
  return age_ms > AGE_MAX_MS || !isAlive(Number.parseInt(holder, 10));
}

/** True when a process of this id runs, ours or not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/**
 * Removes one particular abandoned lock. Between seeing that a lock is stale and removing it, somebody else
 * may have replaced it; so the removal itself is exclusive, per content, and looks once more.
 */
async function breakLock(path: string, holder: string): Promise<void> {
  const breaking = `${path}.${holder.split(' ')[1] ?? 'empty'}`;
  try {
    await mkdir(breaking);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    const since = (await stat(breaking).catch(() => null))?.mtimeMs ?? Date.now();
    if (Date.now() - since > BREAKING_MAX_MS) await rmdir(breaking).catch(() => {});
    await delay(POLL_MS);
    return;
  }
  try {
    if ((await content(path)) === holder) await rm(path, { force: true });
  } finally {
    await rmdir(breaking).catch(() => {});
  }
}
