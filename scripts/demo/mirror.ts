/** The mirror's own commands as child processes, just as a user runs them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { say } from './text.ts';

const BIN = fileURLToPath(new URL('../../bin/flowlu-mirror.js', import.meta.url));
const START_TIMEOUT_MS = 60_000;

export interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

/** Commands that share one environment. */
export function startMirror(settings: Readonly<Record<string, string>> & { readonly DATA_DIR: string }) {
  // The embedded database, whatever the surrounding shell says.
  const env = { ...process.env, DATABASE_URL: '', MIGRATE_DATABASE_URL: '', ...settings };

  return {
    /** Runs a command to its end; `quiet` keeps its progress off the terminal. */
    async run(words: readonly string[], signal: AbortSignal, how: 'shown' | 'quiet' = 'shown'): Promise<number> {
      const stdio = how === 'quiet' ? 'ignore' : 'inherit';
      const child = spawn(process.execPath, [BIN, ...words], {
        env: { ...env, LOG_LEVEL: 'warn' },
        stdio,
        detached: true, // What the terminal says is passed on by us: a hang-up would end it in the middle of its work.
      });
      signal.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
      const [code] = await once(child, 'exit');
      if (code !== 0 && code !== 3 && !signal.aborted)
        throw new Error(`flowlu-mirror ${words.join(' ')} ended with ${code}`);
      return code as number;
    },

    /** Starts the service and waits until it listens. Its log goes to a file. */
    async serve(signal: AbortSignal): Promise<Service> {
      mkdirSync(settings.DATA_DIR, { recursive: true });
      const logFile = join(settings.DATA_DIR, 'serve.log');
      const log = createWriteStream(logFile);
      const child = spawn(process.execPath, [BIN, 'serve'], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      let output = '';
      const remember = (chunk: Buffer) => {
        if (output.length < 100_000) output += chunk.toString('utf8');
      };
      child.stdout?.on('data', remember).pipe(log);
      child.stderr?.on('data', remember);
      const found = (pattern: RegExp) => pattern.exec(output)?.[1];
      const giveUpAt = performance.now() + START_TIMEOUT_MS;
      for (;;) {
        const url = found(/"url":"([^"]+)"/);
        if (url !== undefined) {
          say(`The service listens at ${url}; its log is ${logFile}`);
          return { url, stop: () => end(child) };
        }
        if (child.exitCode !== null || performance.now() > giveUpAt || signal.aborted) {
          await end(child);
          throw new Error(`the service did not start:\n${output.slice(-2_000)}`);
        }
        await sleep(100);
      }
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
