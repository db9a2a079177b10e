/** The built commands as processes of their own, to be killed at will; what they print is kept for inspection. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '../support/eventually.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BIN = join(ROOT, 'bin/flowlu-mirror.js');
const BUILD_LOCK = join(ROOT, 'node_modules/.chaos-build');
const START_MAX_MS = 30_000;
const BUILD_MAX_MS = 120_000;
const STOP_MAX_MS = 20_000;
const OUTPUT_MAX = 20_000_000;

export const SECRET = 'a-webhook-secret-long-enough-0815';
/** Unlike anything else that is printed, so that a leak shows. */
export const API_KEY = 'kEy-9f31c7a2-must-never-be-seen';

export type Settings = Readonly<Record<string, string>>;

/** Everything that the processes of this test file have written. */
let written = '';

/** Throws when the API key or the webhook secret stands in anything that a process has written. */
export function expectNoSecrets(): void {
  for (const secret of [API_KEY, encodeURIComponent(API_KEY), SECRET]) {
    const at = written.indexOf(secret);
    if (at >= 0) throw new Error(`a secret was printed: …${written.slice(Math.max(0, at - 200), at + 80)}…`);
  }
}

function newest(folder: string): number {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return Math.max(0, ...entries.filter((e) => e.isFile()).map((e) => statSync(join(e.parentPath, e.name)).mtimeMs));
}

function isBuilt(): boolean {
  try {
    return newest('dist') >= newest('src');
  } catch {
    return false; // Nothing was ever built, or a build is under way right now.
  }
}

/** Brings `dist` up to date; test files that start together build once. */
export async function ensureBuilt(): Promise<void> {
  const giveUpAt = Date.now() + BUILD_MAX_MS;
  while (!isBuilt()) {
    try {
      mkdirSync(BUILD_LOCK);
    } catch {
      const age_ms = Date.now() - (statSync(BUILD_LOCK, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (Date.now() > giveUpAt || age_ms > BUILD_MAX_MS) rmSync(BUILD_LOCK, { recursive: true, force: true });
      await sleep(200);
      continue;
    }
    try {
      const { status, stdout } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT });
      if (status !== 0) throw new Error(`the build failed:\n${stdout}`);
      return;
    } finally {
      rmSync(BUILD_LOCK, { recursive: true, force: true });
    }
  }
}

function launch(words: readonly string[], settings: Settings): { child: ChildProcess; output: () => string } {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [BIN, ...words], {
    // Away from the checkout, where a `.env` may lie.
    cwd: tmpdir(),
    env: { PATH, HOME, WEBHOOK_SECRET: SECRET, PORT: '0', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: string) => {
    output += chunk;
    if (written.length < OUTPUT_MAX) written += chunk;
  };
  child.stdout?.setEncoding('utf8').on('data', keep);
  child.stderr?.setEncoding('utf8').on('data', keep);
  return { child, output: () => output };
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

export interface Finished {
  /** Null when it was killed. */
  readonly code: number | null;
  readonly output: string;
}

/** Runs a command to its end. */
export async function runCli(words: readonly string[], settings: Settings): Promise<Finished> {
  const { child, output } = launch(words, settings);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  return { code: child.exitCode, output: output() };
}

/**
 * Runs a command and kills it with SIGKILL as soon as `isTime` is true.
 * @throws Error when it ends before.
 */
export async function killWhen(words: readonly string[], settings: Settings, isTime: () => boolean): Promise<void> {
  const { child, output } = launch(words, settings);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  await until(() => isTime() || hasEnded());
  if (hasEnded()) throw new Error(`ended before it was killed:\n${output().slice(-3_000)}`);
  child.kill('SIGKILL');
  await ended(child);
}

export interface Service {
  readonly url: string;
  readonly pid: number;
  /** What it has written so far. */
  output(): string;
  isAlive(): boolean;
  /** SIGKILL: nothing is finished. */
  kill(): Promise<void>;
  /** SIGTERM; resolves to the exit code, which is null when it had to be killed because it did not end. */
  stop(): Promise<{ readonly code: number | null }>;
}

/** Starts `serve` and waits until it listens. */
export async function startServe(settings: Settings, ...flags: readonly string[]): Promise<Service> {
  const { child, output } = launch(['serve', ...flags], settings);
  const found = () => /"url":"(http[^"]+)"/.exec(output())?.[1];
  await until(() => found() !== undefined || child.exitCode !== null, START_MAX_MS).catch(() => {});
  const url = found();
  if (url === undefined) {
    child.kill('SIGKILL');
    throw new Error(`serve did not start:\n${output().slice(-3_000)}`);
  }
  return {
    url,
    pid: child.pid ?? 0,
    output,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    async kill() {
      child.kill('SIGKILL');
      await ended(child);
    },
    async stop() {
      child.kill('SIGTERM');
      const killing = setTimeout(() => child.kill('SIGKILL'), STOP_MAX_MS);
      const code = await ended(child);
      clearTimeout(killing);
      return { code };
    },
  };
}
