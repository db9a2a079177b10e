import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FlowluError } from '../../src/flowlu/errors.ts';
import { deleteGrant } from '../../src/store/grant.ts';
import { until } from '../support/eventually.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { expectNoSecretTold, failing, grantOf, startWorld, type World } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await startWorld();
  await world.logIn();
});
afterEach(async () => {
  await expectNoSecretTold(world);
  await world.close();
});

/** What the token endpoint answered after the login. */
const refreshes = () => world.server.log.slice(1);
const HOUR_S = 3_600;

describe('the access token', () => {
  it('is used as it is while it lasts, without a look at the token endpoint', async () => {
    const replica = world.replica();
    for (let index = 0; index < 20; index += 1) expect(await replica.ask()).toBe(7);
    expect(refreshes()).toEqual([]);
  });

  it('is refreshed some minutes before it ends, and no request is refused meanwhile', async () => {
    await world.age(HOUR_S - 4 * 60);
    const replica = world.replica();
    world.apiRequests();
    expect(await replica.ask()).toBe(7);
    expect(world.apiRequests()).toBe(1);
    expect(refreshes()).toEqual(['refresh']);
    expect(await grantOf(world)).toEqual({ state: 'active', generation: 2, problem: null });
  });

  it('is refreshed when the portal refuses it although it should last: the clocks of the portal and ours differ', async () => {
    const replica = world.replica();
    await replica.ask();
    await world.age(60);
    world.server.advance(2 * HOUR_S);
    expect(await replica.ask()).toBe(7);
    expect(refreshes()).toEqual(['refresh']);
    // The portal's clock goes on being hours ahead, and that is no more of a matter.
    expect(await replica.ask()).toBe(7);
    expect(refreshes()).toEqual(['refresh']);
  });

  it('is renewed when the clock goes back, since nobody knows how long it lasts', async () => {
    await world.age(-24 * HOUR_S);
    const replica = world.replica();
    expect(await replica.ask()).toBe(7);
    expect(refreshes()).toEqual(['refresh']);
    await world.sql`update sync.oauth_grant set next_refresh_at = clock_timestamp() + interval '1 day'`;
    await world.age(-24 * HOUR_S);
    expect(await world.replica().ask()).toBe(7);
    expect(refreshes()).toEqual(['refresh', 'refresh']);
  });

  it('of a portal that promises nothing is used until it is refused', async () => {
    world.server.options.lifetime_s = null;
    await world.logIn();
    const before = world.server.log.length;
    await world.age(30 * 24 * HOUR_S);
    const replica = world.replica();
    expect(await replica.ask()).toBe(7);
    expect(world.server.log).toHaveLength(before);
    world.server.advance(2 * HOUR_S);
    expect(await replica.ask()).toBe(7);
    expect(world.server.log.slice(before)).toEqual(['refresh']);
  });

  it('is not renewed over and over where the portal refuses fresh ones too', async () => {
    const replica = world.replica();
    world.portal.faults.http401 = { probability: 1 };
    for (let round = 0; round < 10; round += 1) {
      await failing(world, replica.ask());
      await world.age(60);
    }
    // Ten minutes of refusals: each new token has to last twice as long before another is asked for.
    expect(refreshes().length).toBeLessThanOrEqual(5);
    expect(refreshes().every((said) => said === 'refresh')).toBe(true);
    expect(world.apiRequests()).toBeLessThanOrEqual(20);
  });

  it('is renewed once and no more where the portal refuses tokens as soon as it has given them', async () => {
    const replica = world.replica();
    world.portal.faults.http401 = { probability: 1 };
    for (let round = 0; round < 5; round += 1) await failing(world, replica.ask());
    expect(refreshes()).toEqual(['refresh']);
    delete world.portal.faults.http401;
    expect(await replica.ask()).toBe(7);
  });
});

describe('two replicas on one database', () => {
  it('refresh once between them, although a token used twice would end everything', async () => {
    const replicas = [world.replica(), world.replica()];
    for (let round = 1; round <= 5; round += 1) {
      await world.age(HOUR_S - 60);
      world.server.faults.slowMs = 50;
      // Both hold what they have for a while, so each round has replicas of its own.
      const fresh = [world.replica(), world.replica(), ...replicas.splice(0)];
      const asked = fresh.flatMap((replica) => Array.from({ length: 8 }, () => replica.ask()));
      expect(await Promise.all(asked)).toEqual(asked.map(() => 7));
      expect(refreshes()).toEqual(Array.from({ length: round }, () => 'refresh'));
    }
    expect(await grantOf(world)).toMatchObject({ state: 'active', generation: 6 });
  });

  it('refresh once when all of their requests are refused at the same moment', async () => {
    const replicas = [world.replica(), world.replica(), world.replica()];
    await Promise.all(replicas.map((replica) => replica.ask()));
    await world.age(60);
    world.server.advance(2 * HOUR_S);
    const asked = replicas.flatMap((replica) => Array.from({ length: 6 }, () => replica.ask()));
    expect(await Promise.all(asked)).toEqual(asked.map(() => 7));
    expect(refreshes()).toEqual(['refresh']);
  });
});

describe('replicas that wait behind a refresh', () => {
  it('do not repeat at once what has just brought nothing', async () => {
    const replicas = [world.replica(), world.replica(), world.replica()];
    world.server.faults.unavailable = 100;
    world.server.faults.slowMs = 50;
    await world.age(HOUR_S - 60);
    expect(await Promise.all(replicas.map((replica) => replica.ask()))).toEqual([7, 7, 7]);
    expect(refreshes()).toEqual(['unavailable']);
  });
});

describe('a withdrawn authorization', () => {
  it('is found out with one request and one refresh, and then nothing is asked any more', async () => {
    const replicas = [world.replica(), world.replica()];
    await Promise.all(replicas.map((replica) => replica.ask()));
    world.server.revokeAll();
    await world.age(60);
    world.apiRequests();
    for (let round = 0; round < 20; round += 1) {
      for (const replica of replicas) {
        const error = await failing(world, replica.ask());
        expect(error).toBeInstanceOf(FlowluError);
        expect((error as FlowluError).kind).toBe('unauthorized');
      }
    }
    expect(refreshes()).toEqual(['invalid_grant']);
    // Each replica may have had a token in memory once.
    expect(world.apiRequests()).toBeLessThanOrEqual(2);
    const grant = await grantOf(world);
    expect(grant?.state).toBe('refused');
    expect(grant?.problem).toContain('the portal refuses the refresh token');
    expect(world.heard.join('')).toContain('Flowlu has withdrawn the authorization: run flowlu-mirror login');
  });

  it('is found out at once, however young the tokens are', async () => {
    const replica = world.replica();
    await replica.ask();
    world.server.revokeAll();
    for (let round = 0; round < 3; round += 1) await failing(world, replica.ask());
    expect(refreshes()).toEqual(['invalid_grant']);
    expect(await grantOf(world)).toMatchObject({ state: 'refused' });
  });

  it('is mended by logging in anew, without a restart', async () => {
    const replica = world.replica();
    world.server.revokeAll();
    await world.age(60);
    await failing(world, replica.ask());
    await world.logIn();
    expect(await replica.ask()).toBe(7);
    expect(await grantOf(world)).toMatchObject({ state: 'active' });
  });

  it('after a logout, another replica stops asking once it looks', async () => {
    expect(await deleteGrant(world.sql)).toBe(true);
    const error = await failing(world, world.replica().ask());
    expect(error.message).toContain('nobody is logged in');
  });
});

describe('a refresh that brings nothing', () => {
  it('is tried again after a growing pause, and the token that is still good is used meanwhile', async () => {
    world.server.faults.unavailable = 3;
    await world.age(HOUR_S - 4 * 60);
    const replica = world.replica();
    for (let index = 0; index < 10; index += 1) expect(await replica.ask()).toBe(7);
    expect(refreshes()).toEqual(['unavailable']);
    await world.age(2);
    expect(await replica.ask()).toBe(7);
    await world.age(2);
    expect(await replica.ask()).toBe(7);
    expect(refreshes()).toEqual(['unavailable', 'unavailable']);
    await world.age(100);
    expect(await replica.ask()).toBe(7);
    await world.age(20);
    expect(await replica.ask()).toBe(7);
    expect(refreshes()).toEqual(['unavailable', 'unavailable', 'unavailable', 'refresh']);
    expect(await grantOf(world)).toEqual({ state: 'active', generation: 2, problem: null });
  });

  it('for a mistake in the settings is no withdrawal: what is stored stays', async () => {
    world.server.faults.error = { name: 'invalid_client', times: 1 };
    await world.age(HOUR_S + 10);
    const replica = world.replica();
    const error = await failing(world, replica.ask());
    expect(error.message).toContain('invalid_client');
    expect(await grantOf(world)).toMatchObject({ state: 'active', generation: 1 });
    await world.age(10);
    expect(await replica.ask()).toBe(7);
  });

  it('says so where the answer was lost on the way, and with it the tokens', async () => {
    world.server.faults.loseAnswer = 1;
    await world.age(HOUR_S + 10);
    const replica = world.replica();
    await failing(world, replica.ask());
    expect(await grantOf(world)).toMatchObject({ state: 'active', generation: 1 });
    await world.age(10);
    // A strict portal takes the second use of the refresh token for a theft.
    await failing(world, replica.ask());
    expect(refreshes()).toEqual(['refresh', 'invalid_grant']);
    const grant = await grantOf(world);
    expect(grant?.state).toBe('refused');
    expect(grant?.problem).toContain('an earlier refresh was cut off');
  });
});

describe('new tokens', () => {
  it('are not lost when the database breaks between the portal and the commit', async () => {
    const proxy = await startTcpProxy(world.database.url);
    const replica = world.replica(proxy.url(world.database.url));
    await world.age(HOUR_S + 10);
    let answer = () => {};
    world.server.faults.hold = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const asked = replica.ask();
    await until(() => refreshes().length > 0);
    proxy.cut();
    const attempts = proxy.refused();
    answer();
    // It has the new tokens and tries to store them.
    await until(() => proxy.refused() > attempts);
    expect(await grantOf(world)).toMatchObject({ generation: 1 });
    proxy.heal();
    await asked.catch(() => {});
    await expect.poll(async () => (await grantOf(world))?.generation, { timeout: 10_000 }).toBe(2);
    expect(await world.replica().ask()).toBe(7);
    expect(refreshes()).toEqual(['refresh']);
    await proxy.close();
  });
});
