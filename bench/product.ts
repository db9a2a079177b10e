/** The product as it is installed: the built command line, in processes of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stopChild } from './worker.ts';

const BIN = fileURLToPath(new URL('../bin/flowlu-mirror.js', import.meta.url));

/** How the product is started. */
export interface Product {
  readonly databaseUrl: string;
  /** A directory without a `.env`. */
  readonly directory: string;
  /** Where processor profiles go; null: none are taken. */
  readonly profiles: string | null;
}

export const WEBHOOK_SECRET = 'a-secret-of-the-benchmark-0123456789';

function start(product: Product, args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const profiling = product.profiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${product.profiles}/${args[0]}`];
  return spawn(process.execPath, [...profiling, BIN, ...args], {
    cwd: product.directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', HOME: product.directory, DATABASE_URL: product.databaseUrl, ...env },
  });
}

export interface Service {
  readonly pid: number | undefined;
  readonly port: number;
  stop(): Promise<void>;
}

const START_MAX_MS = 60_000;

/** Starts `serve`, without a portal: it lives on webhooks alone. */
export async function startService(
  product: Product,
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Promise<Service> {
  const child = start(product, ['serve', ...flags], { WEBHOOK_SECRET, PORT: '0', ...env });
  const errors = collect(child.stderr);
  const port = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('serve did not begin to listen')), START_MAX_MS);
    let text = '';
    child.once('exit', (code) => reject(new Error(`serve ended with ${code}: ${errors()}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      if (timer.hasRef() && text !== 'done') text += chunk.toString();
      const found = /"url":"http:\/\/[^"]*:(\d+)"/.exec(text)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      text = 'done';
      resolve(Number(found));
    });
  });
  return { pid: child.pid, port, stop: () => stopChild(child) };
}

export interface Finished {
  readonly seconds: number;
  /** Resident memory in MB, once per `SAMPLE_MS`. */
  readonly resident: readonly number[];
}

const SAMPLE_MS = 200;

/** Runs a command to its end. @throws Error when it does not end well. */
export async function runCommand(
  product: Product,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Finished> {
  const startedAt = performance.now();
  const child = start(product, args, env);
  const errors = collect(child.stderr);
  child.stdout?.resume();
  const resident: number[] = [];
  const sampler = setInterval(() => {
    void residentMb(child.pid).then((mb) => mb !== null && resident.push(mb));
  }, SAMPLE_MS);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('exit', resolve).once('error', reject);
    });
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${errors()}`);
  } finally {
    clearInterval(sampler);
  }
  return { seconds: (performance.now() - startedAt) / 1_000, resident };
}

/** Resident memory of a process in MB; null where the system does not tell. */
export async function residentMb(pid: number | undefined): Promise<number | null> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(text)?.[1];
  return kb === undefined ? null : Number(kb) / 1_024;
}

const TAIL_CHARACTERS = 2_000;

/** Keeps the end of what a stream says. */
function collect(stream: NodeJS.ReadableStream | null): () => string {
  let tail = '';
  stream?.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-TAIL_CHARACTERS);
  });
  return () => tail.trim();
}
