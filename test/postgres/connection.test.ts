import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { LosslessNumber } from 'lossless-json';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../src/migrate/migrate.ts';
import {
  allAnswers,
  connect,
  DatabaseUrlError,
  isConnectionError,
  isRetryable,
  LastFlight,
  redactUrl,
  transaction,
  within,
} from '../../src/postgres/connection.ts';
import { openDatabase } from '../../src/service/database.ts';
import { createTestDatabase, type TestDatabase, urlOf } from '../support/database.ts';

const PASSWORD = 'hush-hush/very@secret';
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.close();
});

/** The error of a promise that must fail. */
async function failure(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('nothing failed');
}

describe('values', () => {
  it('come back without losing digits, days or exact numbers', async () => {
    const [row] = await database.sql`
      select 9223372036854775807::int8 as id, 0.10::numeric as price, '2026-02-29'::text as text, '2026-02-28'::date as day,
        '{"id":9223372036854775807,"price":12345678901234567.89}'::jsonb as record`;
    expect(row).toEqual({
      id: '9223372036854775807',
      price: '0.10',
      text: '2026-02-29',
      day: '2026-02-28',
      record: { id: new LosslessNumber('9223372036854775807'), price: new LosslessNumber('12345678901234567.89') },
    });
  });

  it('go out the same way: JSON as text or as a value, instants with their microseconds', async () => {
    const [row] = await database.sql`
      select ${'{"a":9223372036854775807}'}::jsonb #>> '{a}' as text, ${database.sql.json({ a: 1 })}::jsonb -> 'a' as value,
        ${'2026-01-01T00:00:00.123456Z'}::timestamptz = timestamptz '2026-01-01 00:00:00.123456+00' as exact,
        ${'2026-01-31'}::date::text as day`;
    expect(row).toEqual({ text: '9223372036854775807', value: 1, exact: true, day: '2026-01-31' });
  });
});

describe('transaction', () => {
  it('bounds its statements, and leaves no trace on the connection', async () => {
    const sql = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1 });
    const error = await failure(transaction(sql, { statementTimeoutMs: 50 }, (tx) => tx`select pg_sleep(5)`));
    expect(error).toMatchObject({ code: '57014' });
    const [row] = await sql`select current_setting('statement_timeout') as limit`;
    expect(row?.limit).toBe('0');
    await sql.end();
  });

  it('bounds its waits for locks and can refuse writes', async () => {
    const limits = await transaction(database.sql, { lockTimeoutMs: 1234, readOnly: true }, async (tx) => {
      const [row] =
        await tx`select current_setting('lock_timeout') as lock, current_setting('transaction_read_only') as only`;
      return row;
    });
    expect(limits).toEqual({ lock: '1234ms', only: 'on' });
  });

  it('returns what its work returns, also a list', async () => {
    expect(await transaction(database.sql, {}, async () => [1, 2])).toEqual([1, 2]);
  });

  it('commits behind the last statements of its work, and is undone as a whole when one of them fails', async () => {
    await database.sql`create table public.flights (id int primary key)`;
    const slowly = async <T>(value: T) => value;
    const fly = (...ids: readonly number[]) =>
      transaction(database.sql, {}, async (tx) => {
        await tx`select 1`;
        const landings = ids.map((id) =>
          tx`insert into public.flights values (${id}) returning id`.then(([row]) => row?.id),
        );
        // The last one to be asked for is the first to be told of the failure, of which it only suffers.
        return new LastFlight(
          allAnswers(landings.map((landing, index) => (index < 2 ? landing.then(slowly) : landing))),
        );
      });
    expect(await fly(1, 2)).toEqual([1, 2]);
    expect(await failure(fly(3, 1, 4))).toMatchObject({ code: '23505' });
    expect(await database.sql`select id from public.flights order by id`).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await fly(5)).toEqual([5]);
  });

  it('with statements under way that breaks with its connection is rejected, not taken for committed', async () => {
    const sql = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1 });
    const broken = transaction(sql, {}, async (tx) => {
      await tx`insert into public.flights values (9)`;
      return new LastFlight(tx`select pg_terminate_backend(pg_backend_pid())`.then(() => 'landed'));
    });
    expect(isConnectionError(await failure(broken))).toBe(true);
    expect(await database.sql`select id from public.flights where id = 9`).toEqual([]);
    await sql.end({ timeout: 1 });
  });
});

describe('within', () => {
  it('cancels a statement that takes too long, and its connection is good for the next', async () => {
    const sql = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1 });
    expect(await failure(within(sql`select pg_sleep(10)`, 100))).toMatchObject({ name: 'TimeoutError' });
    expect((await within(sql`select 1 as one`, 5_000))[0]).toEqual({ one: 1 });
    await sql.end();
  });

  it('ends with the signal', async () => {
    const sql = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1 });
    const gone = AbortSignal.abort(new Error('leaving'));
    expect(await failure(within(sql`select pg_sleep(10)`, 5_000, gone))).toMatchObject({ message: 'leaving' });
    await sql.end();
  });
});

describe('a failure', () => {
  it('is a connection error when nobody listens, the pool has ended or the server ends the session', async () => {
    const nobody = connect('postgres://a:b@127.0.0.1:1/c', { applicationName: 'flowlu-mirror test' });
    expect(isConnectionError(await failure(nobody`select 1`))).toBe(true);
    await nobody.end();
    expect(isConnectionError(await failure(nobody`select 1`))).toBe(true);
    const ended = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1 });
    expect(isConnectionError(await failure(ended`select pg_terminate_backend(pg_backend_pid())`))).toBe(true);
    await ended.end({ timeout: 1 });
  });

  it('is a connection error when somebody answers who is no PostgreSQL and hangs up', async () => {
    const stranger = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await new Promise((resolve) => stranger.once('listening', resolve));
    const address = stranger.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const sql = connect(`postgres://a:b@127.0.0.1:${port}/c`, { applicationName: 'flowlu-mirror test' });
    expect(isConnectionError(await failure(sql`select 1`))).toBe(true);
    await sql.end();
    stranger.close();
  });

  it('is none when the statement is wrong, and is found below a wrapping error', async () => {
    expect(isConnectionError(await failure(database.sql`select nothing`))).toBe(false);
    expect(isConnectionError(new Error('outer', { cause: { code: '57P01' } }))).toBe(true);
    expect(isConnectionError(new AggregateError([{ code: 'ECONNREFUSED' }]))).toBe(true);
    expect(isConnectionError(undefined)).toBe(false);
    expect(isRetryable({ code: '40P01' })).toBe(true);
    // New mirror rows are all that is inserted without an answer to conflicts.
    expect(isRetryable({ code: '23505' })).toBe(true);
    expect(isRetryable({ code: '23502' })).toBe(false);
  });
});

describe('the password', () => {
  const shown = (error: unknown) => `${inspect(error, { depth: 9, showHidden: true })} ${JSON.stringify(error)}`;

  it('is in no error: wrong URL, wrong host, wrong password', async () => {
    const encoded = encodeURIComponent(PASSWORD);
    const { host } = new URL(database.url);
    const errors = [
      await failure(openDatabase({ url: `mysql://flowlu:${encoded}@127.0.0.1/x`, dataDir: '/nowhere' })),
      await failure(openDatabase({ url: `postgres://flowlu:${PASSWORD}@127.0.0.1:notaport/x`, dataDir: '/' })),
      await failure(migrate(`postgres://flowlu:${encoded}@127.0.0.1:99999/x`)),
      await failure(migrate(`postgres://flowlu:${encoded}@127.0.0.1:1/x`)),
      await failure(migrate(`postgres://nobody:${encoded}@${host}/${database.name}`)),
    ];
    for (const error of errors) {
      expect(error).toBeInstanceOf(Error);
      for (const secret of [PASSWORD, encoded, 'hush-hush']) expect(shown(error)).not.toContain(secret);
    }
    expect(errors[0]).toBeInstanceOf(DatabaseUrlError);
  });

  it('is not in a redacted URL, however it is written', () => {
    for (const url of [
      `postgres://flowlu:${encodeURIComponent(PASSWORD)}@db:5432/x`,
      `postgres://flowlu:${PASSWORD}@db:5432/x`,
      'postgres://db/x?user=flowlu&password=hush-hush',
    ]) {
      expect(redactUrl(url)).not.toMatch(/hush|secret/);
      expect(redactUrl(url)).toContain('***');
    }
    expect(redactUrl('postgres://flowlu@db/x')).toBe('postgres://flowlu@db/x');
  });
});

describe('a connection string', () => {
  it('may carry what other clients need', async () => {
    const url = new URL(urlOf(database.name));
    for (const [name, value] of [
      ['pgbouncer', 'true'],
      ['channel_binding', 'prefer'],
      ['schema', 'public'],
    ] as const) {
      url.searchParams.set(name, value);
    }
    const sql = connect(url.href, { applicationName: 'flowlu-mirror test', max: 1 });
    await sql`select 1`;
    expect(sql.options.prepare).toBe(false);
    await sql.end();
  });
});
