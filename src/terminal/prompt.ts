/** Questions to a person at a terminal. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { write } from './output.ts';

/** The answer to a question. @param isSecret what is typed does not show */
export async function ask(question: string, signal: AbortSignal, isSecret = false): Promise<string> {
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = isSecret ? hidden : process.stderr;
  if (isSecret) write(process.stderr, `${question} `);
  const terminal = createInterface({ input: process.stdin, output, terminal: true });
  try {
    return (await terminal.question(isSecret ? '' : `${question} `, { signal })).trim();
  } finally {
    terminal.close();
    if (isSecret) write(process.stderr, '\n');
  }
}

/** Whether a person at a terminal agrees; a script has agreed by running the command. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  return !process.stdin.isTTY || /^y(es)?$/i.test(await ask(`${question} [y/N]`, signal));
}
