/** Runs a client to its end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const MAX_MS = 90_000;

/** What the program prints. @throws Error with its errors when it fails. */
export async function output(
  program: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<string> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { PATH, HOME, LC_ALL: 'C.UTF-8', ...options.env },
    signal: AbortSignal.timeout(MAX_MS),
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  }
  // One that ends without reading has failed, and its exit code says so.
  child.stdin.on('error', () => {}).end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${texts.stderr}\n${texts.stdout}`);
  return texts.stdout;
}
