/**
 * The ledger of deliveries: every webhook body in order of arrival, with its original text and its result. A batch is
 * sent as one text (see postgres/arrays.ts).
 */
import { randomBytes } from 'node:crypto';
import type postgres from 'postgres';
import { formatMicros, type Micros } from '../../core/time.ts';
import { plainArrayLiteral, ROWS_SOURCE, type RowItem, rowsText, rowValue } from '../../postgres/arrays.ts';
import type { Queryable, Sql, Transaction } from '../../postgres/connection.ts';
import { transact } from '../../postgres/transact.ts';

export const LEDGER = 'sync.deliveries';

export type DeliveryStatus =
  /** Stored, not applied yet. */
  | 'pending'
  /** Applied: its effect, if any, is in the mirror. */
  | 'applied'
  /** About a model that the settings exclude. */
  | 'skipped'
  /** Could not be applied; set aside with the reason. */
  | 'failed'
  /** JSON, but not a webhook; answered with 422. */
  | 'rejected';

/** The result of an observation, as `explain`, the metrics and the ledger name it. */
export type Decision =
  | 'inserted'
  | 'updated'
  | 'tombstoned'
  | 'revived'
  | 'unchanged'
  | 'duplicate'
  | 'stale'
  | 'kept'
  | 'ignored'
  /** About an erased entity: not applied, and nothing of it is stored. */
  | 'erased';

export interface LedgerEntry {
  readonly receivedAt: Micros;
  readonly status: DeliveryStatus;
  /** What the delivery says it is about. */
  readonly subject: { readonly module: string; readonly model: string; readonly action: string } | null;
  readonly entityId: string | null;
  readonly version: Micros | null;
  /** Hashes of the states before and after, which order the deliveries of one version. */
  readonly fromHash: string | null;
  readonly toHash: string | null;
  readonly body: string;
  /** Request headers that may be informative. */
  readonly headers: Readonly<Record<string, string>> | null;
  readonly decision: Decision | null;
  readonly reason: string | null;
}

/** With their types, in the order of `valuesOf`. */
const COLUMNS = Object.entries({
  received_at: 'timestamptz',
  status: 'text',
  module: 'text',
  model: 'text',
  action: 'text',
  entity_id: 'bigint',
  version: 'timestamptz',
  from_hash: 'uuid',
  to_hash: 'uuid',
  body: 'text',
  headers: 'jsonb',
  decision: 'text',
  reason: 'text',
});

/** Rows are returned in the order sent, and the identity column counts in that order. */
const APPEND = `
  insert into sync.deliveries (${COLUMNS.map(([name]) => name).join(', ')}, applied_at)
  select *, case when status = 'applied' then clock_timestamp() end
    from (select ${COLUMNS.map(([name, type], index) => `${rowValue(index + 1)}::${type} as ${name}`).join(', ')}
            from ${ROWS_SOURCE}) as entry
  returning id::text as id`;

/** Appends entries; returns their ids in the same order. */
export async function appendDeliveries(tx: Queryable, entries: readonly LedgerEntry[]): Promise<string[]> {
  if (entries.length === 0) return [];
  const rows = await tx.unsafe(APPEND, rowsText(entries.map(valuesOf)), { prepare: true });
  // Each id is sent to a sender as that of its delivery.
  if (rows.length !== entries.length) throw new Error(`${entries.length} deliveries were given ${rows.length} ids`);
  return rows.map((row) => row.id as string);
}

function valuesOf(entry: LedgerEntry): readonly RowItem[] {
  return [
    formatMicros(entry.receivedAt),
    entry.status,
    entry.subject?.module ?? null,
    entry.subject?.model ?? null,
    entry.subject?.action ?? null,
    entry.entityId,
    entry.version === null ? null : formatMicros(entry.version),
    entry.fromHash,
    entry.toHash,
    entry.body,
    entry.headers === null ? null : JSON.stringify(entry.headers),
    entry.decision,
    entry.reason,
  ];
}

/** How a delivery in the ledger relates to others of its entity. */
export interface EarlierEntry {
  readonly entityId: string;
  readonly fromHash: string | null;
  readonly toHash: string;
  readonly version: Micros | null;
  /** Its id if its state may not have reached the row, otherwise null. */
  readonly unapplied: string | null;
}

const MAX_EARLIER = 64;

/** The newest deliveries of each entity, except those being applied now. Without bodies: a tie needs at most one. */
export async function findEarlier(
  tx: Transaction,
  subject: { readonly module: string; readonly model: string },
  entityIds: readonly string[],
  except: readonly string[],
): Promise<EarlierEntry[]> {
  const rows = await tx<(EarlierEntry & { version: string | null })[]>`
    select k.entity_id::text as "entityId", k.from_hash::text as "fromHash", k.to_hash::text as "toHash",
           (extract(epoch from k.version) * 1000000)::bigint::text as version,
           case when k.decision = 'kept' then k.id end::text as unapplied
      from unnest(${plainArrayLiteral(entityIds)}::bigint[]) as e(id)
     cross join lateral (
           select d.id, d.entity_id, d.from_hash, d.to_hash, d.version, d.decision
             from sync.deliveries d
            where d.module = ${subject.module} and d.model = ${subject.model} and d.entity_id = e.id
              and d.to_hash is not null and d.id <> all(${plainArrayLiteral(except)}::bigint[])
            order by d.id desc
            limit ${MAX_EARLIER}) k`;
  return rows.map((row) => ({ ...row, version: row.version === null ? null : Number(row.version) }));
}

/** The body of one delivery; null if it is gone. */
export async function readBody(tx: Queryable, id: string): Promise<string | null> {
  const [row] = await tx`select body from sync.deliveries where id = ${id}`;
  return (row?.body ?? null) as string | null;
}

export interface StoredDelivery {
  readonly id: string;
  readonly receivedAt: Micros;
  readonly status: DeliveryStatus;
  readonly reason: string | null;
  readonly body: string;
}

/** Bytes of bodies held in memory at a time. */
const MAX_BODY_BYTES = 2 * 2 ** 20;

/**
 * Takes the first deliveries of a selection that locks them, in order of arrival: as many as fit into memory, at least
 * one.
 * @param selection the rest of the query after `from sync.deliveries d`
 */
export async function takeFitting(tx: Transaction, selection: postgres.Fragment): Promise<StoredDelivery[]> {
  const rows = await tx<(StoredDelivery & { receivedAt: string })[]>`
    with taken as materialized (
      select d.id, least(d.received_at, clock_timestamp()) as received_at, d.status, d.reason, d.body from sync.deliveries d ${selection}),
    placed as (
      select *, sum(octet_length(body)) over (order by taken.id) - octet_length(body) as bytes_before from taken)
    select id::text as id, (extract(epoch from received_at) * 1000000)::bigint::text as "receivedAt", status, reason, body
      from placed where bytes_before < ${MAX_BODY_BYTES}
     order by placed.id`;
  return rows.map((row) => ({ ...row, receivedAt: Number(row.receivedAt) }));
}

/**
 * Takes the oldest pending deliveries that no other replica holds. They stay locked until the transaction ends.
 * @param except models, as `module.model`, whose deliveries must wait
 */
export function claimPending(tx: Transaction, limit: number, except: Iterable<string>): Promise<StoredDelivery[]> {
  return takeFitting(tx, tx`where ${isPending(tx, except)} order by d.id limit ${limit} for update skip locked`);
}

const isPending = (sql: Queryable, except: Iterable<string>) =>
  sql`d.status = 'pending' and not coalesce(d.module || '.' || d.model = any(${[...except]}::text[]), false)`;

/** A query for whether there are any to claim. */
export const hasPending = (sql: Queryable, except: Iterable<string>) =>
  sql`select exists (select from sync.deliveries d where ${isPending(sql, except)})`;

/** The result of a stored delivery, with its subject if that was not recognized on arrival. */
export interface DeliveryOutcome extends Omit<LedgerEntry, 'receivedAt' | 'subject' | 'body' | 'headers'> {
  readonly id: string;
  readonly subject?: LedgerEntry['subject'];
}

export async function settleDeliveries(tx: Queryable, outcomes: readonly DeliveryOutcome[]): Promise<void> {
  if (outcomes.length === 0) return;
  const document = JSON.stringify(
    outcomes.map(({ subject, entityId, version, fromHash, toHash, ...outcome }) => ({
      ...outcome,
      module: subject?.module,
      model: subject?.model,
      action: subject?.action,
      entity_id: entityId,
      version: version === null ? null : formatMicros(version),
      from_hash: fromHash,
      to_hash: toHash,
    })),
  );
  await tx`
    update sync.deliveries d
       set status = n.status, entity_id = n.entity_id, version = n.version, from_hash = n.from_hash,
           to_hash = n.to_hash, decision = n.decision, reason = n.reason, attempts = d.attempts + 1,
           applied_at = case when n.status = 'applied' then clock_timestamp() end,
           module = coalesce(n.module, d.module), model = coalesce(n.model, d.model), action = coalesce(n.action, d.action)
      from jsonb_to_recordset(${document}::text::jsonb)
           as n(id bigint, status text, module text, model text, action text, entity_id bigint, version timestamptz,
                from_hash uuid, to_hash uuid, decision text, reason text)
     where d.id = n.id`;
}

/**
 * Writes a large delivery and deletes it again, to detect a lack of space that a small change would not, without waiting
 * for locks of others for long. @param commits false for who may only look: everything is rolled back
 */
export async function tryWrite(sql: Sql, commits = true): Promise<void> {
  const body = randomBytes(12_288).toString('base64');
  const undone = new Error('rolled back on purpose');
  const append = async (tx: Transaction) => {
    const [row] = await tx`insert into sync.deliveries (status, body) values ('skipped', ${body}) returning id`;
    await tx`delete from sync.deliveries where id = ${row?.id}`;
    if (!commits) throw undone;
  };
  await transact(sql, append, { statementTimeoutMs: 3_000, lockTimeoutMs: 1_000 }).catch((error: unknown) => {
    if (error !== undone) throw error;
  });
}
