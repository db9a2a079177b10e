/** What is reported as committed is committed: whatever the server has forgotten, and whatever it answers. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  allAnswers,
  connect,
  isRetryable,
  LastFlight,
  type Sql,
  savepoint,
  type Transaction,
  transaction,
} from '../../src/postgres/connection.ts';
import { DEADLINES } from '../../src/postgres/deadline.ts';
import { transact } from '../../src/postgres/transact.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startWireProxy } from '../support/wire-proxy.ts';

let database: TestDatabase;
let sql: Sql;
const onPooler = vi.fn();

beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql`create table public.notes (id int primary key, text text)`;
});
afterAll(async () => {
  await database?.close();
});
beforeEach(async () => {
  await database.sql`truncate public.notes`;
  onPooler.mockClear();
  sql = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1, onPooler });
});
afterEach(async () => {
  await sql.end({ timeout: 1 });
});

const write = (tx: Transaction, id: number) =>
  tx`insert into public.notes values (${id}, ${`note ${id}`}) returning id`;
const ids = async () => (await database.sql`select id from public.notes order by id`).map(({ id }) => id);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

/** Prepares the statement of `write` on the only connection, and has the server forget it. */
async function forget(): Promise<void> {
  await transaction(sql, {}, (tx) => write(tx, 1));
  await sql.unsafe('deallocate all');
}

describe('a prepared statement that the server has forgotten', () => {
  it('fails its transaction as a whole, also where the commit travels behind it', async () => {
    await forget();
    const torn = transaction(sql, {}, async (tx) => {
      await tx.unsafe(`insert into public.notes values (10, 'before')`);
      return new LastFlight(allAnswers([write(tx, 11), tx.unsafe(`insert into public.notes values (12, 'behind')`)]));
    });
    expect(await failure(torn)).toSatisfy(isRetryable);
    expect(await ids()).toEqual([1]);
    // The connection is neither lost nor left in a transaction.
    expect(await sql`select pg_current_xact_id_if_assigned() is null as idle`).toEqual([{ idle: true }]);
  });

  it('costs a transaction that may run again no more than that', async () => {
    await forget();
    let runs = 0;
    await transact(sql, async (tx) => {
      runs += 1;
      await tx`select 1`;
      return new LastFlight(allAnswers([write(tx, 2), write(tx, 3)]));
    });
    expect(await ids()).toEqual([1, 2, 3]);
    expect(runs).toBeGreaterThan(1);
  });

  it('is sent again where it stands alone', async () => {
    const alone = (id: number) => sql`insert into public.notes values (${id}, 'alone')`;
    await alone(1);
    await sql.unsafe('deallocate all');
    await Promise.all([alone(2), alone(3)]);
    expect(await ids()).toEqual([1, 2, 3]);
  });

  it('makes the pool go on without any, and say so once', async () => {
    await forget();
    await transact(sql, (tx) => write(tx, 2));
    for (const id of [3, 4, 5]) {
      await sql.unsafe('deallocate all');
      await transact(sql, async (tx) => new LastFlight(allAnswers([write(tx, id)])));
    }
    expect(await ids()).toEqual([1, 2, 3, 4, 5]);
    expect(await sql`select from pg_prepared_statements`).toHaveLength(0);
    expect(onPooler).toHaveBeenCalledTimes(1);
  });
});

it('a prepared statement whose result has changed fails its transaction, and is prepared again for the next run', async () => {
  const read = (tx: Transaction) => tx`select * from public.notes where id = ${1}`;
  await transaction(sql, {}, read);
  await database.sql`alter table public.notes add column more int`;
  try {
    const rows = await transact(sql, async (tx) => new LastFlight(allAnswers([write(tx, 1), read(tx)])));
    expect(rows[1]).toEqual([{ id: 1, text: 'note 1', more: null }]);
    expect(onPooler).not.toHaveBeenCalled();
  } finally {
    await database.sql`alter table public.notes drop column more`;
  }
});

it('a prepared statement whose result has changed is sent again, though every connection knows the old one', async () => {
  const pool = connect(database.url, { applicationName: 'flowlu-mirror test', max: 4 });
  const read = () => pool`select public.notes.*, pg_sleep(0.02) from public.notes where id >= ${0}`;
  try {
    await Promise.all([read(), read(), read(), read()]);
    await database.sql`alter table public.notes add column more int`;
    expect(await read()).toEqual([]);
  } finally {
    await database.sql`alter table public.notes drop column if exists more`;
    await pool.end({ timeout: 1 });
  }
});

it('a connection asks the server nothing by itself', async () => {
  const asked: string[] = [];
  const watching = await startWireProxy(database.url, {
    fateOf({ direction, type }) {
      if (direction === 'to server') asked.push(type);
      return 'pass';
    },
  });
  const own = connect(watching.url(database.url), { applicationName: 'flowlu-mirror test', max: 1 });
  try {
    await own`select 1`;
    await own`select 2`;
    expect(asked.filter((type) => type === 'P')).toHaveLength(2);
  } finally {
    await own.end({ timeout: 1 });
    await watching.close();
  }
});

describe('a transaction', () => {
  it('whose commit is answered with a rollback rejects, with what went wrong in it', async () => {
    const torn = transaction(sql, {}, async (tx) => {
      await write(tx, 1);
      await write(tx, 1).catch(() => {});
      return 'done';
    });
    expect(await failure(torn)).toMatchObject({ code: '23505' });
    expect(await ids()).toEqual([]);
  });

  it('that has failed sends nothing more: what its work still asks for is refused', async () => {
    let later = Promise.resolve<unknown>(null);
    const failed = transaction(sql, {}, (tx) => {
      later = failure(tx`select pg_sleep(0)`.then(() => tx`select 1`).then(() => write(tx, 7)));
      return tx.unsafe('select 1 / 0');
    });
    expect(await failure(failed)).toMatchObject({ code: '22012' });
    expect(await later).toBeInstanceOf(Error);
    let kept: Transaction | null = null;
    await transaction(sql, {}, async (tx) => {
      kept = tx;
    });
    expect(await failure(write(kept as unknown as Transaction, 8))).toMatchObject({
      message: 'the transaction is over',
    });
    expect(await ids()).toEqual([]);
  });

  it('keeps what a failed part of it has not undone', async () => {
    await transaction(sql, {}, async (tx) => {
      await write(tx, 1);
      const inner = savepoint(tx, async (part) => {
        await savepoint(part, (deeper) => write(deeper, 2));
        await failure(savepoint(part, (deeper) => write(deeper, 1)));
        await write(part, 3);
        throw new Error('enough');
      });
      expect(await failure(inner)).toMatchObject({ message: 'enough' });
      await savepoint(tx, (part) => write(part, 4));
    });
    expect(await ids()).toEqual([1, 4]);
  });
});

describe.each([false, true])(
  'a transaction that the server does not begin (work goes on before its answer: %s)',
  (readsFirst) => {
    /** Reads, then writes. */
    const work = async (tx: Transaction) => {
      await tx`select 1`;
      return new LastFlight(write(tx, 1));
    };

    it('writes nothing, and is rejected with the reason', async () => {
      let begins = 0;
      const proxy = await startWireProxy(database.url, {
        fateOf: ({ direction, type }) =>
          direction === 'to server' && type === 'Q' && ++begins === 1 ? 'fail' : 'pass',
      });
      const proxied = connect(proxy.url(database.url), { applicationName: 'flowlu-mirror test', max: 1 });
      try {
        expect(await failure(transaction(proxied, { readsFirst }, work))).toMatchObject({ code: '57014' });
        expect(await ids()).toEqual([]);
        await transaction(proxied, { readsFirst }, work);
        expect(await ids()).toEqual([1]);
      } finally {
        await proxied.end({ timeout: 1 });
        await proxy.close();
      }
    });

    it('with its settings does not keep its connection', async () => {
      DEADLINES.replacedPoolSeconds = 0.1;
      const refused = transaction(sql, { readsFirst, statementTimeoutMs: -1_000 }, work);
      expect(await failure(refused)).toMatchObject({ code: '22023' });
      expect(await ids()).toEqual([]);
      await transaction(sql, { readsFirst }, work);
      expect(await ids()).toEqual([1]);
    });
  },
);
