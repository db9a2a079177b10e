/** How often a batch waits for the database: with the database some milliseconds away, that is what its speed is made of. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { readAnnouncement } from '../../src/delivery/delivery.ts';
import { receive } from '../../src/merge/receive.ts';
import { connect } from '../../src/postgres/connection.ts';
import { createTestDatabase } from '../support/database.ts';
import { startMirror } from '../support/mirror.ts';
import { startWireProxy } from '../support/wire-proxy.ts';

const LATE_MS = 10;
const FLUSH = 'H';
/** More of it than a socket takes at once. */
const LONG = 'x'.repeat(2_000);

it('a batch waits twice, for the locks and for its writes with the commit, however many deliveries it has', async () => {
  const database = await createTestDatabase();
  const { context, log, close } = await startMirror({ database });
  let asked = 0;
  let flights = 0;
  /** Statements whose values wait until the server has said of which types they are. */
  let described = 0;
  /** When the client has learnt of each end of a statement: late, so that what travels together is seen together. */
  let answered: number[] = [];
  const proxy = await startWireProxy(database.url, {
    fateOf({ direction, type }) {
      if (type === 'Z') answered.push(performance.now() + LATE_MS);
      if (direction === 'to client') return type === 'Z' ? LATE_MS : 'pass';
      if (type === FLUSH) described += 1;
      if (type !== 'Q' && type !== 'S') return 'pass';
      if (answered.filter((at) => at <= performance.now()).length === asked) flights += 1;
      asked += 1;
      return 'pass';
    },
  });
  const { port } = new URL(proxy.url(database.url));
  /** How often the system was asked to send something. */
  let sent = 0;
  const counting = (message: unknown) => {
    const { socket } = message as { socket: Socket };
    for (const name of ['_write', '_writev'] as const) {
      const send = socket[name] as (...args: unknown[]) => void;
      Object.assign(socket, {
        [name](...args: unknown[]) {
          if (String(socket.remotePort) === port) sent += 1;
          Reflect.apply(send, socket, args);
        },
      });
    }
  };
  subscribe('net.client.socket', counting);
  const sql = connect(proxy.url(database.url), { applicationName: 'flowlu-mirror test', max: 1 });
  let second = 0;
  /** The flights, and the calls that send something, of one batch that creates or changes these accounts. */
  async function flightsOf(ids: readonly number[]) {
    second += 1;
    const batch = ids.map((id) => {
      const updated_date = `2026-03-01 10:00:${String(second).padStart(2, '0')}`;
      const current = { id, name: `Account ${id}, ${second}`, description: LONG, updated_date };
      const body = JSON.stringify({ meta: { module: 'crm', model: 'account', action: 'update' }, current });
      return { body, announcement: readAnnouncement(body) };
    });
    [flights, asked, answered, sent] = [0, 0, [], 0];
    await receive(batch, { sql, context, log });
    return { flights, sent };
  }
  const some = Array.from({ length: 100 }, (_, index) => index + 1);
  try {
    for (const ids of [some, some, [1], [1]]) await flightsOf(ids);
    expect(described).toBe(0);
    // Whatever else the machine does may tear a flight apart, but not put two together.
    const counted = async (ids: readonly number[]) => {
      const all = [await flightsOf(ids), await flightsOf(ids), await flightsOf(ids)];
      return { flights: Math.min(...all.map((one) => one.flights)), sent: Math.min(...all.map((one) => one.sent)) };
    };
    const one = await counted([1]);
    const many = await counted(some);
    expect([one.flights, many.flights]).toEqual([2, 2]);
    // Long messages are not sent singly: asking the system to send costs more than most of what is sent.
    expect(many.sent).toBeLessThanOrEqual(3);
  } finally {
    unsubscribe('net.client.socket', counting);
    await sql.end({ timeout: 5 });
    await proxy.close();
    await close();
  }
});
