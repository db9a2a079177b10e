/** docs/invariants.md cites code and tests; what it cites exists. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const ROOT = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const page = read('docs/invariants.md');

/** Every `path#name` of the page. */
const names = [...page.matchAll(/`((?:src|scripts)\/[\w./-]+\.ts)(?:#(\w+))?`/g)].map(([, path = '', name]) => ({
  path,
  name,
}));

/** Every test file of the page with the names in quotation marks that follow it. */
const tests = [...page.matchAll(/`(test\/[\w./-]+\.ts)`((?: and|,)?(?: "[^"]+"(?: and)?)*)/g)].map(
  ([, path = '', quoted = '']) => ({
    path,
    titles: [...quoted.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
  }),
);

test('every name of the code that the invariants cite exists', () => {
  expect(names.length).toBeGreaterThan(50);
  const missing = names.filter(({ path, name }) => {
    if (!existsSync(new URL(path, ROOT))) return true;
    return name !== undefined && !new RegExp(`\\b(?:const|function\\*?|class) ${name}\\b`).test(read(path));
  });
  expect(missing).toEqual([]);
});

test('every test that the invariants cite exists', () => {
  const titles = tests.flatMap(({ path, titles: some }) => some.map((title) => ({ path, title })));
  expect(titles.length).toBeGreaterThan(35);
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
