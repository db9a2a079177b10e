import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/postgres/connection.ts';
import { appRoutes } from '../../src/status/app-routes.ts';
import type { Expectations } from '../../src/status/facts.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { sourceOf } from './source.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(() => database.sql`truncate sync.runs, sync.watermarks, sync.deliveries, sync.oauth_grant`);
afterAll(() => database.close());

const PORTAL = 'https://acme.flowlu.com';
/** A fresh one each time, since what it has read is kept for some seconds. */
const app = (frameAncestors: readonly string[] = [PORTAL], expected: Partial<Expectations> = {}) =>
  appRoutes({ health: sourceOf(database.sql, { hasApi: false, ...expected }).health, frameAncestors });
const text = async (expected: Partial<Expectations> = {}) => (await app([PORTAL], expected).request('/app')).text();

const run = (kind: string) => database.sql`insert into sync.runs (kind, status) values (${kind}, 'running')`;
/** A model agreed with the portal so long ago. */
async function compared(model: string, minutesAgo: number) {
  await run('sweep');
  await database.sql`
    insert into sync.watermarks (model, last_reconciled_at)
    values (${model}, clock_timestamp() - ${minutesAgo} * interval '1 minute')`;
}
const delivery = (status: string, minutesAgo: number) => database.sql`
  insert into sync.deliveries (status, module, model, action, entity_id, body, received_at)
  values (${status}, 'crm', 'account', 'update', 4711, '{"name":"Very Private Ltd"}',
          clock_timestamp() - ${minutesAgo} * interval '1 minute')`;

describe('the app page', () => {
  it('may be framed by the portal and by nobody else', async () => {
    const policyOf = async (ancestors: readonly string[]) =>
      (await app(ancestors).request('/app')).headers.get('content-security-policy');
    expect(await policyOf([PORTAL])).toMatch(/frame-ancestors https:\/\/acme\.flowlu\.com$/);
    expect(await policyOf([PORTAL, 'https://*.flowlu.com'])).toMatch(
      /frame-ancestors https:\/\/acme\.flowlu\.com https:\/\/\*\.flowlu\.com$/,
    );
    expect(await policyOf([])).toMatch(/frame-ancestors 'none'$/);
    const { headers } = await app().request('/app');
    expect(headers.has('x-frame-options')).toBe(false);
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; /);
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('needs nothing from elsewhere and runs no script', async () => {
    const page = await text();
    expect(page).not.toMatch(/<script|src=|href=|url\(|@import|\son\w+=/);
    expect(page).toContain('color-scheme: light dark');
  });

  it.each([
    [5, 'up to date', 'within the last minutes'],
    [90, 'is running', 'within the last hours'],
    [60 * 20, 'is running', 'within about a day'],
    [60 * 72, 'is out of order', 'for more than a day'],
  ])('says roughly how fresh the mirror is, %i minutes after a comparison', async (minutes, mood, freshness) => {
    await compared('crm.account', minutes);
    const page = await text();
    expect(page).toContain(mood);
    expect(page).toContain(freshness);
  });

  it('does not count what failed, nor webhooks where the portal can be compared with', async () => {
    await compared('crm.account', 60 * 72);
    await run('reconcile');
    await run('rebuild');
    await delivery('applied', 1);
    expect(await text()).toContain('for more than a day');
  });

  it('goes by webhooks where nothing was ever compared, and does not call that up to date', async () => {
    expect(await text()).toContain('received nothing from Flowlu yet');
    await delivery('applied', 2);
    const page = await text();
    expect(page).toContain('received a change from Flowlu within the last minutes');
    expect(page).not.toContain('up to date');
  });

  it('says that something needs a look when a delivery failed or the login was withdrawn', async () => {
    await compared('crm.account', 1);
    expect(await text()).not.toContain('needs a look');
    await delivery('failed', 1);
    expect(await text()).toContain('needs a look');
    await database.sql`truncate sync.deliveries`;
    await database.sql`
      insert into sync.oauth_grant (client_id, generation, state, sealed, granted_at, issued_at, problem)
      values ('app', 1, 'refused', 'v1.x.y', now(), now(), 'a problem with details')`;
    const page = await text({ oauthClient: 'app' });
    expect(page).toContain('needs a look');
    expect(page).toContain('has withdrawn its login');
    expect(page).not.toContain('details');
    // With a key, what became of a former login is of no matter.
    expect(await text()).not.toContain('needs a look');
  });

  it('tells nothing of what is mirrored: no name, no number, no time', async () => {
    await compared('crm.account', 1);
    await delivery('failed', 1);
    const page = (await text()).replace(/<style>.*?<\/style>/s, '');
    expect(page).not.toMatch(/Very Private|4711|account|crm|\d{4}-\d\d-\d\d|\d\d:\d\d/);
    const numbers = page.match(/\d+/g) ?? [];
    // Of the markup alone: heading levels, the refresh, the scale of the viewport, utf-8.
    expect([...new Set(numbers)].toSorted()).toEqual(['1', '2', '60', '8']);
  });

  it('answers a POST with the same page, and never looks at the body, in which Flowlu may send tokens', async () => {
    await compared('crm.account', 1);
    let wasRead = false;
    const body = new ReadableStream(
      {
        pull(controller) {
          wasRead = true;
          controller.enqueue(new TextEncoder().encode('access_token=do-not-read'));
        },
      },
      { highWaterMark: 0 },
    );
    const request = new Request('http://mirror/app', { method: 'POST', body, duplex: 'half' } as RequestInit);
    const response = await app().request(request);
    expect(await response.text()).toBe(await text());
    expect(wasRead).toBe(false);
  });

  it('asks the database once, however many look at it at once', async () => {
    const statements: string[] = [];
    const counting = new Proxy(database.sql, {
      apply(sql, _, given: Parameters<typeof database.sql>) {
        statements.push(String(given[0]));
        return sql(...given);
      },
    });
    const crowded = appRoutes({ health: sourceOf(counting).health, frameAncestors: [] });
    await Promise.all(Array.from({ length: 500 }, () => crowded.request('/app')));
    // A reading begins with the schema; what follows is one transaction of its own.
    expect(statements).toEqual([expect.stringContaining('sync.migrations')]);
  });

  it('says so, with 503, when the database does not answer', async () => {
    const nobody = connect('postgres://nobody@127.0.0.1:1/nothing', { applicationName: 'flowlu-mirror test' });
    const response = await appRoutes({ health: sourceOf(nobody).health, frameAncestors: [PORTAL] }).request('/app');
    await nobody.end({ timeout: 1 });
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('database does not answer');
    expect(response.headers.get('content-security-policy')).toContain(PORTAL);
  });
});

it('the icon is a picture that nobody can make a page of', async () => {
  const response = await app().request('/app/icon.svg');
  expect(response.headers.get('content-type')).toBe('image/svg+xml');
  expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  expect(await response.text()).toMatch(/^<svg /);
});
