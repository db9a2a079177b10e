/**
 * The pages in Debian's Chromium: `npm run test:pages` (CHROMIUM names another).
 * With SCREENSHOTS set to a directory, pictures of every scene go there.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import axe from 'axe-core';
import { Hono } from 'hono';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { appRoutes } from '../../src/status/app-routes.ts';
import { statusRoutes } from '../../src/status/routes.ts';
import type { Mirror } from '../support/mirror.ts';
import { play, type Scene, startStage } from './scenes.ts';

let mirror: Mirror;
let browser: Browser;
beforeAll(async () => {
  [mirror, browser] = await Promise.all([
    startStage(),
    chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] }),
  ]);
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await mirror?.close();
});

const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

/** Serves the scene; what the page complains about is collected. */
async function open(scene: Scene, size: keyof typeof SIZES, colorScheme: 'light' | 'dark', path = '/status') {
  const source = await play(mirror.sql, scene);
  const app = new Hono();
  const log = createLogger({ level: 'silent' });
  app.route('/', statusRoutes({ ...source, metrics: createMetrics(), log, token: null, isStopping: () => false }));
  app.route('/', appRoutes({ health: source.health, frameAncestors: [] }));
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme, bypassCSP: false });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // The state of the answer is no fault of the page.
    if (message.type() === 'error' && !message.text().includes('503')) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(`http://127.0.0.1:${port}${path}`);
  const close = async () => {
    await context.close();
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  };
  return { page, complaints, close };
}

async function violationsOf(page: Page) {
  // Runs in a world of its own, which the page's policy does not govern.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  await session.send('Runtime.evaluate', { contextId: executionContextId, expression: `${axe.source};0` });
  const { result } = await session.send('Runtime.evaluate', {
    contextId: executionContextId,
    awaitPromise: true,
    returnByValue: true,
    expression: `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })
      .then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + ' ' + failureSummary).join(' | ')))`,
  });
  return result.value as readonly string[];
}

describe.each(['good', 'reading', 'trouble', 'away'] as const)('the page, %s', (scene) => {
  it.each([
    ['wide', 'light'],
    ['wide', 'dark'],
    ['phone', 'light'],
    ['phone', 'dark'],
  ] as const)('%s, %s: no violations, no complaints, nothing beyond the edge', async (size, scheme) => {
    const { page, complaints, close } = await open(scene, size, scheme);
    expect(await violationsOf(page)).toEqual([]);
    expect(complaints).toEqual([]);
    const width = await page.evaluate(
      () =>
        (globalThis as unknown as { document: { documentElement: { scrollWidth: number } } }).document.documentElement
          .scrollWidth,
    );
    expect(width).toBeLessThanOrEqual(SIZES[size].width);
    const folder = process.env.SCREENSHOTS;
    if (folder !== undefined)
      await page.screenshot({ path: `${folder}/${scene}-${size}-${scheme}.png`, fullPage: true });
    await close();
  });
});

it('keeps itself current without losing the place, what is open or what has the focus', async () => {
  const { page, complaints, close } = await open('good', 'phone', 'light');
  await page.locator('#empty-summary').click();
  await page.locator('#empty-summary').scrollIntoViewIfNeeded();
  const before = await page.evaluate('[scrollY, document.activeElement.id]');
  await mirror.sql`
    insert into sync.deliveries (status, module, model, action, entity_id, body, reason)
    values ('failed', 'crm', 'lead', 'update', 1, '{}', 'of the test')`;
  await expect.poll(() => page.title(), { timeout: 30_000 }).toContain('could not be applied');
  expect(await page.evaluate('document.getElementById("empty").open')).toBe(true);
  const after = (await page.evaluate('[scrollY, document.activeElement.id]')) as [number, string];
  expect(after).toEqual(before);
  expect(complaints).toEqual([]);
  await close();
});
