import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { InterruptedError } from '../core/errors.ts';
import { write } from './output.ts';

const STOPPED = 'stopped on request; nothing was done';

/**
 * The answer to a question.
 * @param isSecret hides what is typed
 * @throws InterruptedError at Ctrl-C, which is an ordinary key while a line is typed, and at the end of the input;
 * otherwise the signal's reason
 */
export async function ask(
  question: string,
  signal: AbortSignal,
  isSecret = false,
  input: NodeJS.ReadableStream = process.stdin,
): Promise<string> {
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = isSecret ? hidden : process.stderr;
  if (isSecret) write(process.stderr, `${question} `);
  const terminal = createInterface({ input, output, terminal: true });
  const closed = once(terminal, 'close').then(() => Promise.reject(new InterruptedError(STOPPED)));
  try {
    const answer = await Promise.race([terminal.question(isSecret ? '' : `${question} `, { signal }), closed]);
    return answer.trim();
  } catch {
    throw signal.aborted ? signal.reason : new InterruptedError(STOPPED);
  } finally {
    terminal.close();
    if (isSecret) write(process.stderr, '\n');
  }
}

/** Whether a person at a terminal agrees. A script agrees by running the command. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  return !process.stdin.isTTY || /^y(es)?$/i.test(await ask(`${question} [y/N]`, signal));
}
