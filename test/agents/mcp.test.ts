/** What agents can see, and that nothing they ask can change anything. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireReader, runQuery } from '../../src/agents/query.ts';
import { createAgentServer } from '../../src/agents/server.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { errorCode } from '../../src/postgres/connection.ts';
import { putRows } from '../reports/rows.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openReader, type Reader } from '../support/reader.ts';

const LIMITS = { rows: 100, time_ms: 1_500 };
let database: TestDatabase;
let reader: Reader;
let client: Client;
beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql, { zone: 'Europe/Berlin' });
  await putRows(database.sql, 'crm_lead', [
    { id: 1, name: 'Roof; drop table', active: 1, budget: '12345678901234567890.01' },
  ]);
  reader = await openReader(database);
  client = new Client({ name: 'test', version: '1' });
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  await createAgentServer({ url: reader.url }, LIMITS).connect(theirs);
  await client.connect(ours);
});
afterAll(async () => {
  await client?.close();
  await reader?.close();
  await database?.close();
});

const call = async (name: string, args: Record<string, unknown> = {}) => {
  const { content, isError } = await client.callTool({ name, arguments: args });
  return { text: (content as { text: string }[])[0]?.text ?? '', isError: isError === true };
};
const ask = (sql: string) => call('query', { sql });

describe('what an agent sees', () => {
  it('are tools that say that they only read', async () => {
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['list_views', 'describe_view', 'definitions', 'freshness', 'query']);
    expect(tools.every(({ annotations }) => annotations?.readOnlyHint === true)).toBe(true);
  });

  it('views with their grain, columns with their meaning, terms, freshness', async () => {
    expect((await call('list_views')).text).toContain('Deals with the names of everything');
    expect((await call('list_views', { schema: 'flowlu_live' })).text).toContain('crm_account');
    expect((await call('describe_view', { view: 'deals' })).text).toContain('identifier in Flowlu');
    expect((await call('definitions')).text).toContain('overdue');
    expect((await call('freshness')).text).toContain('crm.lead');
  });

  it('rows with all digits of their numbers; what a query does wrong, in the words of the server', async () => {
    expect(await ask('select name, budget from crm_lead; ')).toEqual({
      text: '[{"name": "Roof; drop table", "budget": 12345678901234567890.01}]',
      isError: false,
    });
    expect(await ask('select nam from deals')).toMatchObject({ isError: true, text: expect.stringContaining('nam') });
    for (const change of [
      'delete from crm_lead',
      ' UPDATE crm_lead set budget = 0',
      'insert into crm_lead values (1)',
    ]) {
      expect(await ask(change)).toMatchObject({
        isError: true,
        text: expect.stringContaining('only reading is possible'),
      });
    }
  });

  it('is told with each answer what speaks against its numbers', async () => {
    const noted = async () => {
      const { content } = await client.callTool({ name: 'query', arguments: { sql: 'select count(*) from deals' } });
      return (content as { text: string }[])[1]?.text;
    };
    const { sql } = database;
    const read = (model: string, age: string) => sql`
      insert into sync.watermarks (model, last_reconciled_at) values (${model}, now() - ${age}::interval)
        on conflict (model) do update set last_reconciled_at = excluded.last_reconciled_at`;
    expect(await noted()).toMatch(/^Note: Nothing has been read from Flowlu yet/);
    await sql`insert into sync.listings (model, kind, started_at, is_open) values ('crm.lead', 'backfill', now(), true)`;
    expect(await noted()).toMatch(/first reading of Flowlu is not complete/);
    await read('crm.lead', '1 minute');
    await read('crm.pipeline', '3 days');
    expect(await noted()).toBe('Note: The mirror last agreed with Flowlu 72 hours ago.');
    await read('crm.pipeline', '1 minute');
    expect(await noted()).toBeUndefined();
  });

  it('says where an answer is cut: by rows, by size, and by what a row holds', async () => {
    expect((await ask('select * from generate_series(1, 100)')).text).not.toContain('only');
    expect((await ask('select * from generate_series(1, 101)')).text).toContain('only the first 100 rows are shown');
    const wide = await ask("select repeat('x', 15000) from generate_series(1, 100)");
    expect(wide.text).toMatch(/only the first \d+ rows fit/);
    expect(wide.text.length).toBeLessThan(250_000);
    expect((await ask("select repeat('x', 100000)")).text).toContain('ask for fewer columns');
  });
});

const HOSTILE = [
  'select 1; delete from flowlu.crm_lead',
  'select 1) q; delete from flowlu.crm_lead; select * from (select 1',
  'delete from flowlu.crm_lead',
  'with gone as (delete from flowlu.crm_lead returning *) select * from gone',
  'commit',
  'commit; delete from flowlu.crm_lead',
  'rollback',
  'begin read write',
  'set role flowlu_writer',
  'reset role',
  'reset session authorization',
  'set default_transaction_read_only = off',
  'set transaction read write',
  "select set_config('transaction_read_only', 'off', false)",
  "select set_config('role', 'flowlu_writer', false)",
  "select set_config('session_authorization', 'postgres', false)",
  "copy flowlu.crm_lead to program 'touch /tmp/flowlu-was-here'",
  "copy flowlu.crm_lead to '/tmp/flowlu-was-here'",
  'create table flowlu.own (id int)',
  'create temporary table own (id int)',
  'do $$ begin delete from flowlu.crm_lead; end $$',
  'truncate flowlu.crm_lead',
  'drop view flowlu_reports.deals',
  'vacuum',
  'listen own',
  'select * into own from deals',
  'select * from flowlu.crm_lead for update',
  "select nextval('sync.deliveries_id_seq')",
  'select * from sync.deliveries',
  'select * from sync.oauth_grant',
  "select sync.keep_deal_states('{1}', '{}')",
  'select rolpassword from pg_authid',
  "select pg_read_file('/etc/passwd')",
  "select pg_ls_dir('/')",
  "select lo_import('/etc/passwd')",
  'select pg_reload_conf()',
  "select dblink('host=127.0.0.1', 'select 1')",
  "select query_to_xml('delete from flowlu.crm_lead', true, true, '')",
  'select pg_sleep(60)',
  'select pg_terminate_backend(pid) from pg_stat_activity where usename is distinct from current_user',
  'select count(*) from generate_series(1, 1000000000000)',
  'select 1 -- ',
  'select 1 /*',
  'explain analyze delete from flowlu.crm_lead',
  'prepare own as delete from flowlu.crm_lead',
  'values (1) union all select 2 from (select 1) q, (delete from flowlu.crm_lead) w',
];
/** Harmless, and answered. */
const ANSWERED = [
  'select 1 -- ',
  "select set_config('role', 'none', true)",
  "select pg_notify('own', 'x')",
  'select pg_advisory_lock(1)',
  "select set_config('statement_timeout', '0', false)",
];

describe('whatever the SQL says', () => {
  const content = async () => {
    const [row] = await database.sql`
      select (select count(*) from flowlu.crm_lead) as deals, (select count(*) from pg_class) as relations,
             (select count(*) from sync.deal_states) as states, (select count(*) from pg_largeobject_metadata) as objects`;
    return row;
  };

  it.each(HOSTILE.filter((sql) => !ANSWERED.includes(sql)))('%s is refused', async (sql) => {
    const before = await content();
    const answer = await ask(sql);
    expect(answer.isError, answer.text).toBe(true);
    expect(await content()).toEqual(before);
  });

  it.each(ANSWERED)('%s leaves nothing behind', async (sql) => {
    expect((await ask(sql)).isError).toBe(false);
    const left = await runQuery(
      { url: reader.url },
      `
      select current_user = session_user and current_setting('transaction_read_only') = 'on'
         and current_setting('statement_timeout') = '1500ms' as as_before,
             (select count(*) from pg_locks where locktype = 'advisory' and objid = 1
                and database = (select oid from pg_database where datname = current_database())) as locks`,
      LIMITS,
    );
    expect(left.rows).toEqual(['{"locks": 0, "as_before": true}']);
  });

  it('a login that may do more than read is not used', async () => {
    await expect(requireReader({ url: database.url })).rejects.toThrow('may do more than read');
    await requireReader({ url: reader.url });
    await database.sql.unsafe(`grant insert on flowlu.crm_source to ${reader.login}`);
    await expect(requireReader({ url: reader.url })).rejects.toThrow('able to write flowlu.crm_source');
    await database.sql.unsafe(
      `revoke insert on flowlu.crm_source from ${reader.login}; grant pg_signal_backend to ${reader.login}`,
    );
    await expect(requireReader({ url: reader.url })).rejects.toThrow('a member of pg_signal_backend');
    await database.sql.unsafe(`revoke pg_signal_backend from ${reader.login}`);
  });

  it('a password that somebody else renewed is renewed once more', async () => {
    let renewals = 0;
    const address = {
      url: reader.url.replace(reader.password, 'stale'),
      renew: async () => {
        renewals += 1;
        return reader.url;
      },
    };
    expect((await runQuery(address, 'select 1 as one', LIMITS)).rows).toEqual(['{"one": 1}']);
    expect(renewals).toBe(1);
    await expect(runQuery({ url: reader.url.replace(reader.password, 'stale') }, 'select 1', LIMITS)).rejects.toSatisfy(
      (error) => errorCode(error) === '28P01',
    );
  });
});
