/** docs/invariants.md and docs/security.md cite code and tests; what they cite exists. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const ROOT = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const page = read('docs/invariants.md');
const pages = `${page}\n${read('docs/security.md')}`;

/** Every `path#name` of the pages. */
const names = [...pages.matchAll(/`((?:src|scripts)\/[\w./-]+\.ts)(?:#(\w+))?`/g)].map(([, path = '', name]) => ({
  path,
  name,
}));

/** Every test file of the pages with the names in quotation marks that follow it. */
const tests = [...pages.matchAll(/`(test\/[\w./-]+\.ts)`((?: and|,)?(?: "[^"]+"(?: and)?)*)/g)].map(
  ([, path = '', quoted = '']) => ({
    path,
    titles: [...quoted.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
  }),
);

test('every name of the code that the pages cite exists', () => {
  expect(names.length).toBeGreaterThan(75);
  const missing = names.filter(({ path, name }) => {
    if (!existsSync(new URL(path, ROOT))) return true;
    return name !== undefined && !new RegExp(`\\b(?:const|function\\*?|class) ${name}\\b`).test(read(path));
  });
  expect(missing).toEqual([]);
});

test('every test that the pages cite exists', () => {
  const titles = tests.flatMap(({ path, titles: some }) => some.map((title) => ({ path, title })));
  expect(titles.length).toBeGreaterThan(65);
  expect(tests.filter(({ path }) => !existsSync(new URL(path, ROOT)))).toEqual([]);
  expect(
    titles.filter(
      ({ path, title }) => !read(path).includes(title.replaceAll("'", "\\'")) && !read(path).includes(title),
    ),
  ).toEqual([]);
});

test('invariants are numbered without a gap, each with a place and a test', () => {
  const rows = page
    .split('\n')
    .filter((line) => /^\| \d+ \|/.test(line))
    .map((line) => line.split(' | '));
  expect(rows.map(([number]) => Number(number?.slice(2)))).toEqual(rows.map((_, index) => index + 1));
  expect(
    rows.filter(([, , enforced = '', caught = '']) => !enforced.includes('`src/') || !caught.includes('`test/')),
  ).toEqual([]);
});

test('every threat has an answer and a test', () => {
  const threats = (read('docs/security.md').split('\n## Threats\n')[1] ?? '').split('\n## ')[0] ?? '';
  const rows = threats
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1);
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter((line) => !/\| `test\/[^|]+ \|$/.test(line))).toEqual([]);
});
