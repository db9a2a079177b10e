import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { beginLogin, completeLogin, LoginError, readAnswer } from '../../src/oauth/login.ts';
import { callbackRoutes } from '../../src/oauth/route.ts';
import { expectNoSecretTold, failing, grantOf, startWorld, type World } from './world.ts';

let world: World;
let asked: number;

beforeAll(async () => {
  world = await startWorld();
});
beforeEach(async () => {
  await world.sql`delete from sync.oauth_grant`;
  await world.sql`delete from sync.oauth_requests`;
  asked = world.server.log.length;
});
afterAll(async () => {
  await expectNoSecretTold(world);
  await world.close();
});

const exchanges = () => world.server.log.slice(asked);

describe('a login', () => {
  it('ends with tokens that the portal accepts, stored where only the key opens them', async () => {
    await world.logIn();
    expect(await grantOf(world)).toMatchObject({ state: 'active', generation: 1 });
    expect(await world.replica().ask()).toBe(7);
    await expectNoSecretTold(world);
  });

  it('sends the browser to the portal with a state, the proof of a verifier, and the parameters of the setting', async () => {
    const { sql, cipher, client } = world.deps;
    const authorizeUrl = 'https://portal.example.com/oauth?scope=crm.read%20fin.read&lang=de';
    const { url, state } = await beginLogin({ sql, cipher, client: { ...client, authorizeUrl } });
    const parameters = Object.fromEntries(new URL(url).searchParams);
    expect(parameters).toMatchObject({ scope: 'crm.read fin.read', lang: 'de', response_type: 'code', state });
    expect(parameters).toMatchObject({ client_id: client.clientId, redirect_uri: client.redirectUrl });
    expect(parameters).toMatchObject({ code_challenge_method: 'S256' });
    expect(parameters.code_challenge).toMatch(/^[\w-]{43}$/);
    expect(Object.keys(parameters)).not.toContain('client_secret');
  });

  it('is good once: the same answer again asks the portal nothing and changes nothing', async () => {
    const { url } = await beginLogin(world.deps);
    const answer = await world.browse(url);
    await completeLogin(world.deps, answer);
    expect(await failing(world, completeLogin(world.deps, answer))).toBeInstanceOf(LoginError);
    expect(exchanges()).toEqual(['code']);
    expect(await grantOf(world)).toMatchObject({ state: 'active', generation: 1 });
    expect(await world.replica().ask()).toBe(7);
  });

  it('is taken once, whichever of two processes gets the answer at the same moment', async () => {
    const { url } = await beginLogin(world.deps);
    const answer = await world.browse(url);
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => completeLogin(world.deps, answer)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(exchanges()).toEqual(['code']);
  });

  it.each([
    ['that was never given out', 'A'.repeat(43)],
    ['that is empty', ''],
    ['of another form', "' or true --"],
    ['of enormous length', 'A'.repeat(100_000)],
  ])('turns away a state %s, and keeps its own open', async (_, state) => {
    const { url } = await beginLogin(world.deps);
    const answer = await world.browse(url);
    const error = await failing(world, completeLogin(world.deps, { ...answer, state }));
    expect(error).toBeInstanceOf(LoginError);
    expect(exchanges()).toEqual([]);
    await completeLogin(world.deps, answer);
    expect(await grantOf(world)).toMatchObject({ state: 'active' });
  });

  it('is over after ten minutes', async () => {
    const { url } = await beginLogin(world.deps);
    const answer = await world.browse(url);
    await world.sql`update sync.oauth_requests set expires_at = expires_at - interval '601 seconds'`;
    expect(await failing(world, completeLogin(world.deps, answer))).toBeInstanceOf(LoginError);
    expect(exchanges()).toEqual([]);
  });

  it('belongs to its client', async () => {
    const { url } = await beginLogin(world.deps);
    const answer = await world.browse(url);
    const other = { ...world.deps, client: { ...world.deps.client, clientId: 'another-app' } };
    expect(await failing(world, completeLogin(other, answer))).toBeInstanceOf(LoginError);
    expect(exchanges()).toEqual([]);
  });

  it('fails with a code that belongs to another login: its verifier does not fit', async () => {
    const mine = await beginLogin(world.deps);
    const theirs = await world.browse((await beginLogin(world.deps)).url);
    const error = await failing(world, completeLogin(world.deps, { ...theirs, state: mine.state }));
    expect(error.message).toContain('wrong verifier');
    expect(await grantOf(world)).toBeNull();
  });

  it('fails with a code that was used before', async () => {
    const first = await world.browse((await beginLogin(world.deps)).url);
    await completeLogin(world.deps, first);
    const second = await beginLogin(world.deps);
    const error = await failing(world, completeLogin(world.deps, { ...first, state: second.state }));
    expect(error.message).toContain('the code was used before');
    expect(exchanges()).toEqual(['code', 'invalid_grant']);
    // What a strict portal withdraws over it, the mirror finds out without a storm.
    const replica = world.replica();
    await world.age(60);
    await failing(world, replica.ask());
    await failing(world, replica.ask());
    expect(exchanges()).toEqual(['code', 'invalid_grant', 'invalid_grant']);
    expect(await grantOf(world)).toMatchObject({ state: 'refused' });
  });

  it('says what the portal said when the user does not agree', async () => {
    const { url } = await beginLogin(world.deps);
    const error = await failing(world, completeLogin(world.deps, await world.browse(`${url}&deny=1`)));
    expect(error.message).toContain('access_denied');
    expect(exchanges()).toEqual([]);
  });

  it('leaves a grant in force alone when it fails', async () => {
    await world.logIn();
    const { url } = await beginLogin(world.deps);
    const answer = await world.browse(url);
    world.server.faults.error = { name: 'invalid_client', times: 1 };
    await failing(world, completeLogin(world.deps, answer));
    expect(await grantOf(world)).toMatchObject({ state: 'active', generation: 1 });
    expect(await world.replica().ask()).toBe(7);
  });
});

describe('the callback', () => {
  const call = (query: string) =>
    callbackRoutes('/oauth/callback', (answer) => completeLogin(world.deps, answer), world.log).request(
      `/oauth/callback${query}`,
    );

  it('ends the login, and answers a page that nobody may frame, keep or follow', async () => {
    const { url } = await beginLogin(world.deps);
    const answer = await world.browse(url);
    const response = await call(`?state=${answer.state}&code=${answer.code}`);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('Logged in');
    expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await grantOf(world)).toMatchObject({ state: 'active' });
    const again = await call(`?state=${answer.state}&code=${answer.code}`);
    expect(again.status).toBe(400);
  });

  it.each([
    '',
    '?state=x&code=y',
    `?state=${'A'.repeat(43)}&error=%3Cscript%3Ealert(1)%3C/script%3E`,
    '?code=%00&state=%ff',
  ])('answers 400 to %s, and repeats nothing of it', async (query) => {
    const response = await call(query);
    expect(response.status).toBe(400);
    expect(await response.text()).not.toMatch(/script|alert/);
  });

  it('logs what is turned away once a minute', async () => {
    const logged: unknown[] = [];
    const log = { ...world.log, warn: (...line: unknown[]) => logged.push(line) } as never;
    const app = callbackRoutes('/oauth/callback', (answer) => completeLogin(world.deps, answer), log);
    for (let n = 0; n < 20; n += 1) expect((await app.request('/oauth/callback?state=x&code=y')).status).toBe(400);
    expect(logged).toHaveLength(1);
  });

  it('repeats what the portal says in plain characters only', async () => {
    const { state } = await beginLogin(world.deps);
    const response = await call(`?state=${state}&error=%3Cscript%3Ealert(1)%3C/script%3E`);
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain('<script');
  });
});

describe('a pasted answer', () => {
  it('is the whole address to which the browser was sent', () => {
    expect(readAnswer(' https://mirror.example.com/oauth/callback?code=a%2Fb&state=s\n')).toEqual({
      code: 'a/b',
      state: 's',
      error: null,
    });
  });

  it.each(['', 'only-a-code', 'https://mirror.example.com/oauth/callback?code=x'])('is not %j', (pasted) => {
    expect(() => readAnswer(pasted)).toThrow(LoginError);
  });
});

describe('a server of the dialect that Flowlu documents', () => {
  it('gives tokens to a login although a refused attempt spends the code, and refreshes them at its own address', async () => {
    const documented = await startWorld('documented');
    try {
      await documented.logIn();
      expect(documented.server.log).toEqual(['code']);
      documented.server.advance(3_700);
      await documented.age(3_700);
      expect(await documented.replica().ask()).toBe(7);
      expect(documented.server.log.slice(1)).toEqual(['refresh']);
      expect(await grantOf(documented)).toMatchObject({ state: 'active', generation: 2 });
      await expectNoSecretTold(documented);
    } finally {
      await documented.close();
    }
  });
});
