import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { hindranceOfWriting, reasonOf } from '../../src/core/files.ts';

const directory = mkdtempSync(join(tmpdir(), 'flowlu-mirror-files-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('what can be written, or made in a directory that is or can be made, has no hindrance', () => {
  expect(hindranceOfWriting(directory)).toBeNull();
  expect(hindranceOfWriting(join(directory, 'not', 'there', 'yet'))).toBeNull();
});

test('what cannot be written is told with the part of its path that is in the way', () => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  expect(hindranceOfWriting(join(file, 'below'))).toBe(`${join(file, 'below')}: a part of its path is no directory`);
});

test.each([
  ['EACCES', 'this user has no right to it'],
  ['EROFS', 'its file system is read-only'],
  ['EMFILE', 'EMFILE'],
])('the system\'s %s is told as "%s"', (code, words) => {
  expect(reasonOf(Object.assign(new Error(`${code}: open '/secret/path'`), { code }))).toBe(words);
});
