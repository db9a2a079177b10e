/** Prints findings: what is wrong, since when, and what to type. */
import type { Assessment, State } from '../status/findings.ts';
import { ageOf } from '../status/words.ts';
import { coloursOf, printLine, type TextStream } from './output.ts';

const MARKS = { bad: '✖', care: '!', note: '·', good: '✔', reading: '…' } as const;

export function printFindings(
  { state, headline, sentence, findings }: Assessment,
  now: string,
  stream: TextStream = process.stdout,
): void {
  const colours = coloursOf(stream);
  const paint: Readonly<Record<State | 'note', (text: string) => string>> = {
    bad: colours.red,
    care: colours.yellow,
    reading: colours.cyan,
    good: colours.green,
    note: colours.dim,
  };
  if (state === 'good' || state === 'reading')
    printLine(paint[state](`${MARKS[state]} ${headline}. ${sentence}.`), stream);
  for (const { severity, sentence: found, since, remedy, command, code } of findings) {
    if (code === 'first_reading') continue;
    const age = since === null ? '' : ageOf(since, now).replace(' ago', '');
    const when = ['', '0 s'].includes(age) ? '' : ` (for ${age})`;
    printLine(paint[severity](`${MARKS[severity]} ${found.replace(/\p{Cc}+/gu, ' ')}${when}`), stream);
    if (remedy !== null) printLine(`    ${remedy}.`, stream);
    if (command !== null) printLine(`    ${colours.bold(command)}`, stream);
  }
}
