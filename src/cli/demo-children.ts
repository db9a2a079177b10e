/** The mirror's own commands as child processes, just as a user runs them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { withoutSettings } from '../config/index.ts';

const BIN = fileURLToPath(new URL('../../bin/flowlu-mirror.js', import.meta.url));
const START_MAX_MS = 60_000;

export interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

/** Commands that share settings, in a directory of their own: no `.env` lies there. */
export function createChildren(directory: string, settings: Readonly<Record<string, string>>) {
  const env = { ...withoutSettings(), ...settings };
  // In a group of its own: what the terminal says is passed on by us, in the order in which things must end.
  const launch = (words: readonly string[], stdio: 'inherit' | 'ignore' | 'pipe', more: object = {}) =>
    spawn(process.execPath, [BIN, ...words], {
      cwd: directory,
      env: { ...env, ...more },
      stdio: ['ignore', stdio, stdio],
      detached: true,
    });

  return {
    async run(words: readonly string[], signal: AbortSignal, stdio: 'inherit' | 'ignore' = 'inherit'): Promise<void> {
      // A signal that has aborted says so to nobody who listens later.
      signal.throwIfAborted();
      const child = launch(words, stdio, { LOG_LEVEL: 'warn' });
      const onAbort = () => child.kill('SIGINT');
      signal.addEventListener('abort', onAbort, { once: true });
      const [code] = await once(child, 'exit');
      signal.removeEventListener('abort', onAbort);
      if (code !== 0 && code !== 3 && !signal.aborted)
        throw new Error(`flowlu-mirror ${words.join(' ')} ended with ${code}`);
    },

    /** Starts the service and waits until it listens. Its log goes to a file. */
    async serve(signal: AbortSignal, port: number): Promise<Service> {
      const child = launch(['serve'], 'pipe', { PORT: String(port) });
      let output = '';
      const log = createWriteStream(join(directory, 'serve.log'));
      for (const stream of [child.stdout, child.stderr]) {
        stream?.pipe(log, { end: false });
        stream?.setEncoding('utf8').on('data', (text: string) => {
          if (output.length < 100_000) output += text;
        });
      }
      const giveUpAt = performance.now() + START_MAX_MS;
      for (;;) {
        const url = /"url":"([^"]+)"/.exec(output)?.[1];
        if (url !== undefined) return { url, stop: () => end(child) };
        if (child.exitCode !== null || performance.now() > giveUpAt || signal.aborted) {
          await end(child);
          throw new Error(`the service did not start:\n${output.slice(-2_000)}`);
        }
        await sleep(50);
      }
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
