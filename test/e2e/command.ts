/** A command of the built bin as a child process, with its two outputs apart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

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
