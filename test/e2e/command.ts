/** Commands with their two outputs apart: of the built bin as child processes, or within this process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../src/cli/program.ts';

const BIN = fileURLToPath(new URL('../../bin/flowlu-mirror.js', import.meta.url));

export interface Command {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves when the text has appeared on either output; throws when the process ends first. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** Ends with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

export interface CommandOptions {
  /** Working directory: where a `.env` is looked for. */
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the test writes to its standard input; otherwise it has none. */
  readonly input?: boolean;
}

export function start(words: readonly string[], { cwd, env = {}, input = false }: CommandOptions): Command {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [BIN, ...words], {
    cwd,
    env: { PATH, HOME, ...env },
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    async says(pattern) {
      for (;;) {
        const found = pattern.exec(stdout) ?? pattern.exec(stderr);
        if (found !== null) return found;
        if (child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`ended without saying ${pattern}:\n${stdout}\n${stderr}`);
        }
        await sleep(10);
      }
    },
  };
}

export interface Result {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export async function run(words: readonly string[], options: CommandOptions): Promise<Result> {
  const command = start(words, options);
  const code = await command.ended;
  return { code, stdout: command.stdout(), stderr: command.stderr() };
}

/**
 * Runs a command within this process, one at a time: the same as `run` but for a second of starting. Not for what is to be
 * stopped or killed.
 */
export async function runHere(words: readonly string[], { cwd, env = {} }: CommandOptions): Promise<Result> {
  const before = { env: process.env, cwd: process.cwd(), exitCode: process.exitCode };
  const { PATH = '', HOME = '' } = process.env;
  const texts = { stdout: '', stderr: '' };
  const writers = (['stdout', 'stderr'] as const).map((name) => {
    const own = process[name].write;
    process[name].write = ((chunk: string | Uint8Array) => {
      texts[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      return true;
    }) as typeof own;
    return { name, own };
  });
  process.env = { PATH, HOME, ...env };
  process.exitCode = undefined;
  try {
    process.chdir(cwd);
    await runProgram(words);
    return { code: (process.exitCode as number | undefined) ?? 0, ...texts };
  } finally {
    for (const { name, own } of writers) process[name].write = own;
    process.env = before.env;
    process.exitCode = before.exitCode;
    process.chdir(before.cwd);
  }
}
