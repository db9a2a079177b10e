/** Questions to a person at a terminal. */
import { createInterface } from 'node:readline/promises';

/** The answer to a question; empty where there is no terminal to ask on. */
async function ask(question: string, signal: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY) return '';
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`${question} `, { signal })).trim();
  } finally {
    terminal.close();
  }
}

/** Whether a person at a terminal agrees; a script has agreed by running the command. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  return !process.stdin.isTTY || /^y(es)?$/i.test(await ask(`${question} [y/N]`, signal));
}
