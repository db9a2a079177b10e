import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Exchange, exchange } from '../../src/oauth/endpoint.ts';

const SECRETS = ['client-secret-1', 'refresh-token-2'];
const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A server that answers so, and keeps what it was sent. */
async function serve(status: number, body: string, headers: Record<string, string> = {}) {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    bodies.push(`${request.method} ${request.headers['content-type']} ${text}`);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, bodies };
}

async function ask(status: number, body: unknown, headers?: Record<string, string>): Promise<Exchange> {
  const { url } = await serve(status, typeof body === 'string' ? body : JSON.stringify(body), headers);
  const client = { clientId: 'app', clientSecret: SECRETS[0] ?? '', tokenUrl: url };
  const outcome = await exchange(client, { type: 'refresh_token', refresh: SECRETS[1] ?? '' });
  for (const secret of SECRETS) expect(JSON.stringify(outcome)).not.toContain(secret);
  return outcome;
}

it('no secret of a login comes back in the words of the portal', async () => {
  const [code, verifier] = ['the-code-of-a-login', 'the-verifier-of-a-login'];
  const { url } = await serve(
    400,
    JSON.stringify({ error: 'invalid_request', error_description: `${code} ${verifier} no` }),
  );
  const client = { clientId: 'app', clientSecret: SECRETS[0] ?? '', tokenUrl: url };
  const outcome = await exchange(client, {
    type: 'authorization_code',
    code,
    verifier,
    redirectUrl: 'https://x.example/cb',
  });
  expect(outcome).toMatchObject({ kind: 'failed', reason: expect.stringMatching(/^invalid_request: .+ no$/) });
  for (const secret of [code, verifier]) expect(JSON.stringify(outcome)).not.toContain(secret);
});

it('what goes wrong with an address names the setting that it comes from', async () => {
  const { url } = await serve(404, 'nothing here');
  const refresh = { type: 'refresh_token', refresh: 'r' } as const;
  const code = { type: 'authorization_code', code: 'c', verifier: 'v', redirectUrl: 'https://x.example/cb' } as const;
  const client = { clientId: 'app', clientSecret: null, tokenUrl: 'http://127.0.0.1:1/token' };
  expect(await exchange(client, code)).toMatchObject({ reason: expect.stringContaining('FLOWLU_OAUTH_TOKEN_URL') });
  const own = { ...client, refreshUrl: url };
  expect(await exchange(own, refresh)).toMatchObject({ reason: 'HTTP 404 (FLOWLU_OAUTH_REFRESH_URL)' });
  const page = await ask(200, '<html>');
  expect(page).toMatchObject({
    reason: expect.stringMatching(/is it the token endpoint\? Check FLOWLU_OAUTH_TOKEN_URL/),
  });
});

describe('tokens', () => {
  it.each([
    [{ access_token: 'a', token_type: 'Bearer', expires_in: 3600, refresh_token: 'r' }, 3600, 'r'],
    [{ access_token: 'a', token_type: 'bearer', expires_in: '7200', refresh_token: 'r' }, 7200, 'r'],
    [{ access_token: 'a', refresh_token: null, expires_in: null }, null, null],
    [{ access_token: 'a' }, null, null],
    // A promise that makes no sense is none.
    [{ access_token: 'a', expires_in: -5 }, null, null],
    [{ access_token: 'a', expires_in: 'soon' }, null, null],
    [{ access_token: 'a', expires_in: 1e300 }, 10 * 365 * 86_400, null],
  ])('are read from %j', async (body, lifetime_s, refresh) => {
    expect(await ask(200, body)).toEqual({ kind: 'granted', tokens: { access: 'a', refresh, lifetime_s } });
  });

  it.each([
    [{ access_token: '' }],
    [{ access_token: 'two words' }],
    [{ access_token: 'line\r\nX-Injected: 1' }],
    [{ access_token: 'ä' }],
    [{ access_token: 'a'.repeat(10_000) }],
    [{ access_token: 'a', token_type: 'mac' }],
    [{ access_token: { a: 1 } }],
    [[]],
    ['null'],
    ['<html>log in</html>'],
    [''],
  ])('are not made out of %j', async (body) => {
    expect(await ask(200, body)).toMatchObject({ kind: 'failed' });
  });
});

describe('a refusal', () => {
  it.each([
    [400, { error: 'invalid_grant', error_description: `${SECRETS[1]} is bad` }],
    [200, { error: 'invalid_grant' }],
    [401, { error: 'Refresh token has been revoked' }],
  ])('is final: HTTP %i %j', async (status, body) => {
    expect(await ask(status, body)).toMatchObject({ kind: 'refused' });
  });

  it.each([
    [401, { error: 'invalid_client' }, true],
    [400, { error: 'invalid_request' }, true],
    [404, 'not here', true],
    [403, '<html>', true],
    // Whatever a failing server writes, it says nothing about the token; and the answer may have been another.
    [500, { error: 'invalid_grant' }, false],
    [503, { error: 'invalid_grant' }, false],
    [429, 'Too Many Requests', false],
  ])('is not final: HTTP %i %j', async (status, body, answered) => {
    expect(await ask(status, body)).toMatchObject({ kind: 'failed', answered });
  });
});

it.each([301, 302, 303, 307, 308])('secrets follow no redirect with %i', async (status) => {
  const elsewhere = await serve(200, '{"access_token":"stolen"}');
  expect(await ask(status, '', { location: elsewhere.url })).toMatchObject({ kind: 'failed' });
  expect(elsewhere.bodies).toEqual([]);
});

it('an answer without an end is not read to the end', async () => {
  expect(await ask(200, `{"access_token":"${'a'.repeat(200_000)}"}`)).toMatchObject({ kind: 'failed' });
});

it('a server that is not there is a failure that was not answered', async () => {
  const client = { clientId: 'app', clientSecret: null, tokenUrl: 'http://127.0.0.1:1/token' };
  const outcome = await exchange(client, { type: 'refresh_token', refresh: SECRETS[1] ?? '' });
  expect(outcome).toMatchObject({ kind: 'failed', answered: false });
});

it('is asked by a form, and without a secret where the app has none', async () => {
  const { url, bodies } = await serve(200, '{"access_token":"a"}');
  const client = { clientId: 'app', clientSecret: null, tokenUrl: url };
  await exchange(client, {
    type: 'authorization_code',
    code: 'c&d',
    verifier: 'v',
    redirectUrl: 'https://x.example/cb',
  });
  expect(bodies).toEqual([
    'POST application/x-www-form-urlencoded;charset=UTF-8 grant_type=authorization_code&client_id=app&code=c%26d&code_verifier=v&redirect_uri=https%3A%2F%2Fx.example%2Fcb',
  ]);
});

it.each([
  ['/token', null, ['authorization_code', 'code']],
  ['/oauth2/access_token', null, ['code', 'authorization_code']],
  ['/token', 'http://127.0.0.1:1/refresh_token', ['code', 'authorization_code']],
])(
  'at %s, refreshing at %s, is asked for tokens as %j, while it refuses the grant type',
  async (path, refreshUrl, ways) => {
    const { url, bodies } = await serve(400, '{"error":"unsupported_grant_type"}');
    const client = { clientId: 'app', clientSecret: null, tokenUrl: new URL(path, url).href, refreshUrl };
    const login = {
      type: 'authorization_code',
      code: 'c',
      verifier: 'v',
      redirectUrl: 'https://x.example/cb',
    } as const;
    expect(await exchange(client, login)).toMatchObject({ kind: 'failed' });
    expect(bodies.map((body) => body.match(/grant_type=(\w+)/)?.[1])).toEqual(ways);
  },
);
