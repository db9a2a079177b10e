/** Any single message between us and the database fails, is lost, is the last one, or is late: what is acknowledged is there. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readAnnouncement } from '../../src/delivery/delivery.ts';
import { drainPending } from '../../src/merge/drain.ts';
import { receive } from '../../src/merge/receive.ts';
import { connect } from '../../src/postgres/connection.ts';
import { DEADLINES } from '../../src/postgres/deadline.ts';
import { eventually } from '../support/eventually.ts';
import { type Mirror, never, startMirror } from '../support/mirror.ts';
import { examples } from '../support/seed.ts';
import { type Fate, startWireProxy, type WireMessage } from '../support/wire-proxy.ts';
import { webhook } from './service.ts';

const RUNS = Number(process.env.WIRE_RUNS ?? examples(80));
const AT_A_TIME = 15;
/** A batch has some fifty messages each way; what lies beyond changes nothing. */
const MESSAGES = 60;
const SETTLES_MAX_MS = 25_000;
// The limit of a statement is 5 s, and no answer within it is what takes long here.
Object.assign(DEADLINES, { answerGraceMs: -4_000, secondLookMs: 50, replacedPoolSeconds: 1 });

let mirror: Mirror;
beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: {} });
});
afterAll(() => mirror.close());

interface Trouble {
  readonly direction: WireMessage['direction'];
  /** Which message of that direction it befalls. */
  readonly place: number;
  readonly fate: Fate;
}
const trouble = fc.record<Trouble>({
  direction: fc.constantFrom('to server', 'to client'),
  place: fc.nat(MESSAGES),
  fate: fc.constantFrom<Fate>('fail', 'drop', 'silence', 'cut', 120),
});

/** Deliveries of three records, one of them twice. */
const batchOf = (run: number, name: string) =>
  [
    webhook('crm.account', 'create', { id: 3 * run, name: 'before' }),
    webhook('crm.account', 'create', { id: 3 * run + 1, name }),
    webhook('crm.lead', 'create', { id: 3 * run + 2, name }),
    webhook('crm.account', 'update', { id: 3 * run, name }),
  ]
    .map((body) => JSON.stringify(body))
    .map((body) => ({ body, announcement: readAnnouncement(body) }));

/** Records three batches, the second of them in trouble; returns the ids and bodies of what was acknowledged. */
async function suffer({ direction, place, fate }: Trouble, run: number): Promise<ReadonlyMap<string, string>> {
  let left = Number.POSITIVE_INFINITY;
  const proxy = await startWireProxy(mirror.database.url, {
    fateOf: (message) => {
      if (message.direction !== direction) return 'pass';
      left -= 1;
      return left === -1 ? fate : 'pass';
    },
  });
  const sql = connect(proxy.url(mirror.database.url), { applicationName: 'flowlu-mirror test', max: 1 });
  const acknowledged = new Map<string, string>();
  const send = async (name: string) => {
    const batch = batchOf(run, name);
    const ids = await receive(batch, { sql, context: mirror.context, log: mirror.log }).catch(() => null);
    for (const [index, id] of ids?.entries() ?? []) acknowledged.set(id, batch[index]?.body ?? '');
    return ids !== null;
  };
  try {
    await eventually(
      () => send('before'),
      (isThere) => isThere,
    );
    left = place;
    const hanging = setTimeout(() => proxy.close(), SETTLES_MAX_MS);
    await send('during');
    left = Number.POSITIVE_INFINITY;
    await eventually(
      () => send('after'),
      (isThere) => isThere,
    );
    expect(hanging.hasRef()).toBe(true);
    clearTimeout(hanging);
    return acknowledged;
  } finally {
    await sql.end({ timeout: 1 });
    await proxy.close();
  }
}

it(
  'a batch whose conversation with the database is disturbed at one message is recorded as acknowledged, or refused',
  async () => {
    const troubles = fc.sample(trouble, RUNS);
    const queue = troubles.entries();
    const acknowledged = new Map<string, string>();
    const failures: string[] = [];
    const work = async () => {
      for (const [run, one] of queue) {
        try {
          for (const [id, body] of await suffer(one, run + 1)) acknowledged.set(id, body);
        } catch (error) {
          failures.push(`${JSON.stringify(one)}: ${error}`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
    expect(failures).toEqual([]);

    const { sql, context, log } = mirror;
    await drainPending({ sql, context, log }, never);
    const ledger = new Map((await sql`select id::text, body, status from sync.deliveries`).map((row) => [row.id, row]));
    const lost = [...acknowledged].filter(([id, body]) => {
      const entry = ledger.get(id);
      return entry?.body !== body || entry.status !== 'applied';
    });
    expect(lost).toEqual([]);
    const rows = await sql`
      select id::int, name from flowlu.crm_account union all select id::int, name from flowlu.crm_lead order by id`;
    expect(rows.map(({ id, name }) => `${id} ${name}`)).toEqual(
      troubles.flatMap((_, run) => [3, 4, 5].map((offset) => `${3 * run + offset} after`)),
    );
  },
  60_000 + 500 * RUNS,
);
