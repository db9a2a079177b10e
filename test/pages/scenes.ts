/** Mirrors as an operator may find them: a day of work is written into the ledger of a portal that has been read. */
import { models } from '../../src/catalog/index.ts';
import type { Sql } from '../../src/postgres/connection.ts';
import { createHealth } from '../../src/status/health.ts';
import type { ReportSource } from '../../src/status/report.ts';
import { sourceOf } from '../status/source.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';

export type Scene = 'good' | 'reading' | 'trouble' | 'away';

const names = models.map(({ name }) => name);

/** A portal of some thousand rows that was read, with a day behind it. */
export async function startStage(): Promise<Mirror> {
  const mirror = await startMirror({ rows: 3_000, seed: 1 });
  await mirror.fill(...names);
  await mirror.sql`create table public.kept_listings as select * from sync.listings`;
  await mirror.sql`
    insert into sync.settings (key, value) values ('portal', '"acme.flowlu.com"')
        on conflict (key) do update set value = excluded.value`;
  return mirror;
}

/** Writes the scene into the ledger. */
export async function play(sql: Sql, scene: Scene): Promise<ReportSource> {
  await sql`truncate sync.deliveries, sync.runs, sync.measurements, sync.doubtful`;
  await sql`truncate sync.listings`;
  await sql`insert into sync.listings select * from public.kept_listings`;
  await sql`update sync.watermarks set last_reconciled_at = clock_timestamp() - (random() * 240) * interval '1 second', last_error = null`;
  await dayOfWork(sql);
  if (scene === 'reading') await halfRead(sql);
  if (scene === 'trouble') await trouble(sql);
  const source = { ...sourceOf(sql, { models: names }), database: 'postgres://mirror@db.internal:5432/flowlu' };
  return scene === 'away' ? { ...source, health: createHealth(failing(sql), source.expected) } : source;
}

/** More webhooks at day than at night, and a comparison every five minutes. */
async function dayOfWork(sql: Sql): Promise<void> {
  await sql`
    insert into sync.deliveries (received_at, applied_at, status, module, model, action, entity_id, version, body, decision)
    select at, at + interval '40 ms', 'applied', (array['crm', 'crm', 'task', 'fin'])[1 + n % 4],
           (array['lead', 'account', 'tasks', 'invoice'])[1 + n % 4], 'update', n,
           at - (1 + n % 4 + case when n between 5200 and 5500 then 25 else n / 700 % 3 end) * interval '1 second', '{}', 'updated'
      from generate_series(9000, 1, -1) n,
           lateral (select clock_timestamp() - (12 + 86000 * (n / 9000.0 + 0.1 * sin(n * pi() / 4500))) * interval '1 second' as at) t`;
  await sql`
    insert into sync.runs (kind, status, started_at, finished_at, summary)
    select case when n % 288 = 40 then 'sweep' else 'reconcile' end, 'done',
           clock_timestamp() - (n * 300 + 70) * interval '1 second', clock_timestamp() - (n * 300 + 20) * interval '1 second',
           jsonb_build_array(jsonb_build_object('model', 'crm.lead', 'outcome', 'complete',
             'requests', case when n % 288 = 40 then 640 else 30 + (n * 37) % 30 end, 'written', n % 3))
      from generate_series(287, 0, -1) n`;
}

async function halfRead(sql: Sql): Promise<void> {
  await sql`truncate sync.runs`;
  await sql`
    with run as (insert into sync.runs (kind, status) values ('reconcile', 'running') returning id)
    insert into sync.leases select 'run ' || id, 'one', now() + interval '100 seconds' from run`;
  await sql`
    with placed as (select model, row_number() over (order by model) as place from sync.listings where kind = 'backfill')
    update sync.listings l
       set started_at = clock_timestamp() - interval '75 seconds', requests = greatest(1, l.rows_read / 100),
           rows_read = case when place <= 16 then l.rows_read else l.rows_read / 3 end,
           total = l.rows_read, finished_at = case when place <= 16 then clock_timestamp() end,
           outcome = case when place <= 16 then 'complete' end, completed_at = case when place <= 16 then clock_timestamp() end
      from placed where placed.model = l.model and l.kind = 'backfill'`;
  await sql`
    delete from sync.listings where kind = 'backfill' and model in (
      select model from sync.listings where kind = 'backfill' order by model offset 32)`;
}

async function trouble(sql: Sql): Promise<void> {
  await sql`
    insert into sync.measurements (model, fact, value, measured_at)
    values ('*', 'refused', '"Access denied, error 11"', clock_timestamp() - interval '3 hours')`;
  await sql`
    update sync.listings set outcome = 'skipped', reason = 'refused: access denied: the key has no right to the module'
     where kind = 'backfill' and model in ('fin.invoice', 'fin.customer_payment', 'st.products')`;
  await sql`
    insert into sync.deliveries (received_at, status, module, model, action, entity_id, body, reason)
    values (clock_timestamp() - interval '50 minutes', 'failed', 'crm', 'lead', 'update', 4711, '{}',
            'the value of budget does not fit: numeric field overflow')`;
  await sql`
    insert into sync.runs (kind, status, started_at, finished_at, summary)
    values ('reconcile', 'failed', clock_timestamp() - interval '30 seconds', clock_timestamp() - interval '20 seconds',
            '[{"model":"crm.lead","outcome":"failed","reason":"Access denied, error 11","requests":1,"written":0}]')`;
}

/** A database whose every statement fails. */
function failing(sql: Sql): Sql {
  const fail = () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.5:5432'));
  return new Proxy(sql, { apply: fail, get: (target, key) => (key === 'unsafe' ? fail : Reflect.get(target, key)) });
}
