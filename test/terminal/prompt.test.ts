import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { InterruptedError } from '../../src/core/errors.ts';
import { ask } from '../../src/terminal/prompt.ts';

const running = () => new AbortController();

test('an answer is what was typed, without the spaces around it', async () => {
  const input = new PassThrough();
  const answer = ask('Company?', running().signal, true, input);
  input.write(' acme \n');
  expect(await answer).toBe('acme');
});

test.each([
  ['Ctrl-C, which a terminal that reads lines sends as a key', '\u0003'],
  ['Ctrl-D on an empty line', '\u0004'],
])('%s stops the command as a signal does', async (_, key) => {
  const input = new PassThrough();
  const answer = ask('Company?', running().signal, true, input);
  input.write(key);
  await expect(answer).rejects.toBeInstanceOf(InterruptedError);
});

test('a signal ends the waiting with its reason', async () => {
  const stop = running();
  const answer = ask('Company?', stop.signal, true, new PassThrough());
  stop.abort(new InterruptedError('stopped by a signal'));
  await expect(answer).rejects.toThrow('stopped by a signal');
});
