import { expect, test } from 'vitest';
import { programWith } from '../../src/cli/program.ts';
import { asTyped } from '../../src/core/typed.ts';

const ADVICE = 'run: flowlu-mirror migrate (`serve` does it by itself)';

test.each([
  ['npx', '/home/ann/.npm/_npx/1f/node_modules/.bin/flowlu-mirror'],
  ['a dependency', '/srv/app/node_modules/.bin/flowlu-mirror'],
  ['a checkout', '/home/ann/flowlu-mirror/bin/flowlu-mirror.js'],
  ['the sources', '/home/ann/flowlu-mirror/src/cli/main.ts'],
])('a command is typed with npx where %s has started the program', (_, script) => {
  expect(asTyped(ADVICE, script)).toBe('run: npx flowlu-mirror migrate (`serve` does it by itself)');
  expect(asTyped('npx flowlu-mirror doctor', script)).toBe('npx flowlu-mirror doctor');
  expect(asTyped('flowlu-mirror keeps a copy; flowlu-mirror 0.2.0', script)).not.toContain('npx');
});

test('a command is typed by its name alone where it is installed for all directories', () => {
  expect(asTyped(ADVICE, '/usr/local/bin/flowlu-mirror')).toBe(ADVICE);
});

test('every command is known', async () => {
  for (const { name } of (await programWith([])).commands.map((command) => ({ name: command.name() })))
    expect(asTyped(`flowlu-mirror ${name}`, 'main.ts')).toBe(`npx flowlu-mirror ${name}`);
});
