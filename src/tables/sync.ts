/** The tables of the ledger and of the mirror's own state. What each is for stands in facts.ts. */
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  jsonb,
  numeric,
  pgSchema,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';

/** Not for analysts. */
export const sync = pgSchema('sync');

const big = (name: string) => bigint(name, { mode: 'bigint' });
const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });
const now = sql`clock_timestamp()`;
const counter = (name: string) => big(name).notNull().default(sql`0`);

export const deliveries = sync.table(
  'deliveries',
  {
    id: big('id').primaryKey().generatedAlwaysAsIdentity(),
    received_at: instant('received_at').notNull().default(now),
    status: text('status').$type<'pending' | 'applied' | 'skipped' | 'failed' | 'rejected'>().notNull(),
    module: text('module'),
    model: text('model'),
    action: text('action'),
    entity_id: big('entity_id'),
    version: instant('version'),
    from_hash: uuid('from_hash'),
    to_hash: uuid('to_hash'),
    body: text('body').notNull(),
    headers: jsonb('headers'),
    decision: text('decision'),
    reason: text('reason'),
    attempts: integer('attempts').notNull().default(0),
    applied_at: instant('applied_at'),
  },
  (t) => [
    check('deliveries_status', sql`${t.status} in ('pending', 'applied', 'skipped', 'failed', 'rejected')`),
    index('deliveries_entity').on(t.module, t.model, t.entity_id, t.id),
    index('deliveries_open').on(t.id).where(sql`${t.status} in ('pending', 'failed')`),
    // A plain b-tree instead of brin, which PostgreSQL-compatible distributed servers lack.
    index('deliveries_received_at').on(t.received_at),
  ],
);

export const doubtful = sync.table(
  'doubtful',
  {
    model: text('model').notNull(),
    entity_id: big('entity_id').notNull(),
    reason: text('reason').notNull(),
    since: instant('since').notNull().default(now),
    attempts: integer('attempts').notNull().default(0),
    next_attempt_at: instant('next_attempt_at').notNull().default(now),
    last_error: text('last_error'),
    refusal: text('refusal'),
  },
  (t) => [primaryKey({ columns: [t.model, t.entity_id] }), index('doubtful_next_attempt_at').on(t.next_attempt_at)],
);

export const listings = sync.table(
  'listings',
  {
    model: text('model').notNull(),
    kind: text('kind').$type<'backfill' | 'sweep'>().notNull(),
    run_id: big('run_id'),
    started_at: instant('started_at').notNull(),
    fence: instant('fence'),
    mode: text('mode').$type<'keyset' | 'pages'>(),
    last_id: big('last_id'),
    page: integer('page'),
    page_size: integer('page_size'),
    total: big('total'),
    rows_read: counter('rows_read'),
    rows_written: counter('rows_written'),
    rows_unchanged: counter('rows_unchanged'),
    rows_missed: counter('rows_missed'),
    requests: counter('requests'),
    /** Rows found so far that no list returns, for the run that continues. */
    unread: jsonb('unread'),
    is_open: boolean('is_open').notNull().default(true),
    /** How the last one of this kind ended. The next one leaves this unchanged until it ends. */
    finished_at: instant('finished_at'),
    completed_at: instant('completed_at'),
    outcome: text('outcome').$type<'complete' | 'incomplete' | 'skipped' | 'failed'>(),
    reason: text('reason'),
    rows_unread: counter('rows_unread'),
    /** Rows that the last sweep did not list and its guard keeps. */
    rows_held: counter('rows_held'),
  },
  (t) => [
    primaryKey({ columns: [t.model, t.kind] }),
    check('listings_kind', sql`${t.kind} in ('backfill', 'sweep')`),
    check('listings_mode', sql`${t.mode} in ('keyset', 'pages')`),
    check('listings_outcome', sql`${t.outcome} in ('complete', 'incomplete', 'skipped', 'failed')`),
  ],
);

export const suspects = sync.table(
  'suspects',
  { model: text('model').notNull(), entity_id: big('entity_id').notNull() },
  (t) => [primaryKey({ columns: [t.model, t.entity_id] })],
);

export const listedIds = sync.table(
  'listed_ids',
  {
    model: text('model').notNull(),
    kind: text('kind').$type<'backfill' | 'sweep'>().notNull(),
    seq: big('seq').generatedAlwaysAsIdentity(),
    ids: big('ids').array().notNull(),
  },
  (t) => [primaryKey({ columns: [t.model, t.kind, t.seq] })],
);

export const measurements = sync.table(
  'measurements',
  {
    model: text('model').notNull(),
    fact: text('fact').notNull(),
    value: jsonb('value').notNull(),
    measured_at: instant('measured_at').notNull().default(now),
  },
  (t) => [primaryKey({ columns: [t.model, t.fact] })],
);

export const watermarks = sync.table('watermarks', {
  model: text('model').primaryKey(),
  watermark: instant('watermark'),
  strategy: text('strategy'),
  strategy_checked_at: instant('strategy_checked_at'),
  last_reconciled_at: instant('last_reconciled_at'),
  last_error: text('last_error'),
});

export const schedule = sync.table('schedule', {
  model: text('model').primaryKey(),
  polled_at: instant('polled_at'),
  poll_requests: integer('poll_requests'),
  poll_interval: integer('poll_interval'),
  swept_from: instant('swept_from'),
  swept_until: instant('swept_until'),
  sweep_requests: integer('sweep_requests').notNull().default(1),
  sweep_interval: integer('sweep_interval'),
  rows: integer('rows'),
  missed_at: instant('missed_at'),
  announced_since: counter('announced_since'),
  announced: counter('announced'),
  missed: counter('missed'),
  failures: integer('failures').notNull().default(0),
  retry_at: instant('retry_at'),
});

export const runs = sync.table(
  'runs',
  {
    id: big('id').primaryKey().generatedAlwaysAsIdentity(),
    kind: text('kind').notNull(),
    started_at: instant('started_at').notNull().default(now),
    finished_at: instant('finished_at'),
    status: text('status').$type<'running' | 'done' | 'failed' | 'interrupted' | 'differences'>().notNull(),
    summary: jsonb('summary'),
    holder: text('holder'),
  },
  (t) => [check('runs_status', sql`${t.status} in ('running', 'done', 'failed', 'interrupted', 'differences')`)],
);

export const apiBudget = sync.table(
  'api_budget',
  {
    id: boolean('id').primaryKey().default(true),
    next_slot_at: instant('next_slot_at').notNull(),
    background_turn_at: instant('background_turn_at'),
    background_slot_at: instant('background_slot_at'),
    foreground_at: instant('foreground_at'),
    foreground_run: integer('foreground_run').notNull().default(0),
  },
  (t) => [check('api_budget_single', sql`${t.id}`)],
);

export const leases = sync.table('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  expires_at: instant('expires_at').notNull(),
});

export const settings = sync.table('settings', { key: text('key').primaryKey(), value: jsonb('value').notNull() });

export const oauthGrant = sync.table(
  'oauth_grant',
  {
    id: boolean('id').primaryKey().default(true),
    client_id: text('client_id').notNull(),
    generation: big('generation').notNull(),
    state: text('state').$type<'active' | 'refused'>().notNull(),
    sealed: text('sealed').notNull(),
    granted_at: instant('granted_at').notNull(),
    issued_at: instant('issued_at').notNull(),
    expires_at: instant('expires_at'),
    refresh_began_at: instant('refresh_began_at'),
    refresh_failures: integer('refresh_failures').notNull().default(0),
    next_refresh_at: instant('next_refresh_at'),
    problem: text('problem'),
  },
  (t) => [
    check('oauth_grant_single', sql`${t.id}`),
    check('oauth_grant_state', sql`${t.state} in ('active', 'refused')`),
  ],
);

export const oauthRequests = sync.table('oauth_requests', {
  state_hash: text('state_hash').primaryKey(),
  client_id: text('client_id').notNull(),
  redirect_url: text('redirect_url').notNull(),
  sealed_verifier: text('sealed_verifier').notNull(),
  expires_at: instant('expires_at').notNull(),
  answered_at: instant('answered_at'),
  outcome: text('outcome'),
});

export const customColumns = sync.table(
  'custom_columns',
  {
    model: text('model').notNull(),
    name: text('name').notNull(),
    field_id: big('field_id').notNull(),
    base: text('base').notNull(),
    aliases: jsonb('aliases').$type<readonly string[]>().notNull(),
    former_since: instant('former_since'),
  },
  (t) => [primaryKey({ columns: [t.model, t.name] })],
);

export const dealStates = sync.table(
  'deal_states',
  {
    model: text('model').notNull(),
    entity_id: big('entity_id').notNull(),
    place: integer('place').notNull(),
    valid_from: instant('valid_from').notNull(),
    valid_to: instant('valid_to'),
    entered_at: instant('entered_at').notNull(),
    enters_exactly: boolean('enters_exactly').notNull(),
    ends_stay: boolean('ends_stay').notNull(),
    known_at: instant('known_at').notNull(),
    kept_at: instant('kept_at').notNull(),
    pipeline_id: big('pipeline_id'),
    pipeline_stage_id: big('pipeline_stage_id'),
    active: integer('active'),
    budget: numeric('budget'),
    merged_to_id: big('merged_to_id'),
  },
  (t) => [primaryKey({ columns: [t.entity_id, t.place] })],
);
