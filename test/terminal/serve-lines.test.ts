/** What `serve` shows at a terminal when it begins. */
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { redactUrl } from '../../src/postgres/url.ts';
import { printSummary } from '../../src/terminal/serve-lines.ts';
import { Screen } from './screen.ts';

const SECRET = 'a-secret-of-enough-length-4711';

test.each([true, false])('no password and no secret, embedded database: %s', (embedded) => {
  const url = 'postgres://flowlu:pAsSwOrD@127.0.0.1:54329/flowlu';
  const database = { url, displayUrl: redactUrl(url), embedded, close: async () => {} };
  const screen = new Screen(120);
  const config = loadConfig({ WEBHOOK_SECRET: SECRET });
  printSummary({ config, database, models: [] } as unknown as Parameters<typeof printSummary>[0], 'http://x', screen);
  const shown = screen.lines().join('\n');
  expect(shown).toMatch(/Database +postgres:\/\/flowlu:\*\*\*@127\.0\.0\.1:54329\/flowlu/);
  expect(shown).not.toContain('pAsSwOrD');
  expect(shown).not.toContain(SECRET);
  // Who has an address of their own knows it; the embedded one is known to nobody.
  expect(shown.includes('flowlu-mirror reader <login>')).toBe(embedded);
});
