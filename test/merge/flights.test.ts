/** How often a batch waits for the database: with the database some milliseconds away, that is what its speed is made of. */
import { expect, it } from 'vitest';
import { readAnnouncement } from '../../src/delivery/delivery.ts';
import { receive } from '../../src/merge/receive.ts';
import { connect } from '../../src/postgres/connection.ts';
import { createTestDatabase } from '../support/database.ts';
import { startMirror } from '../support/mirror.ts';
import { startWireProxy } from '../support/wire-proxy.ts';

const LATE_MS = 10;
/** More of it than a socket takes at once. */
const LONG = 'x'.repeat(2_000);

it('a batch waits three times, for the begin, the locks, and its writes with the commit, however many deliveries it has', async () => {
  const database = await createTestDatabase();
  const { context, log, close } = await startMirror({ database });
  let asked = 0;
  let flights = 0;
  /** When the client has learnt of each end of a statement: late, so that what travels together is seen together. */
  let answered: number[] = [];
  const proxy = await startWireProxy(database.url, {
    fateOf({ direction, type }) {
      if (type === 'Z') answered.push(performance.now() + LATE_MS);
      if (direction === 'to client') return type === 'Z' ? LATE_MS : 'pass';
      if (type !== 'Q' && type !== 'S') return 'pass';
      if (answered.filter((at) => at <= performance.now()).length === asked) flights += 1;
      asked += 1;
      return 'pass';
    },
  });
  const sql = connect(proxy.url(database.url), { applicationName: 'flowlu-mirror test', max: 1 });
  let second = 0;
  /** The flights of one batch that creates or changes these accounts. */
  async function flightsOf(ids: readonly number[]): Promise<number> {
    second += 1;
    const batch = ids.map((id) => {
      const updated_date = `2026-03-01 10:00:${String(second).padStart(2, '0')}`;
      const current = { id, name: `Account ${id}, ${second}`, description: LONG, updated_date };
      const body = JSON.stringify({ meta: { module: 'crm', model: 'account', action: 'update' }, current });
      return { body, announcement: readAnnouncement(body) };
    });
    [flights, asked, answered] = [0, 0, []];
    await receive(batch, { sql, context, log });
    return flights;
  }
  const some = Array.from({ length: 100 }, (_, index) => index + 1);
  try {
    // The first of each kind also learn what their statements return.
    for (const ids of [some, some, [1], [1]]) await flightsOf(ids);
    // Whatever else the machine does may tear a flight apart, but not put two together.
    const counted = async (ids: readonly number[]) =>
      Math.min(await flightsOf(ids), await flightsOf(ids), await flightsOf(ids));
    expect(await counted([1])).toBe(3);
    expect(await counted(some)).toBe(3);
  } finally {
    await sql.end({ timeout: 5 });
    await proxy.close();
    await close();
  }
});
