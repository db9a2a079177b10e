/**
 * The months of the history: made ahead of time, dropped when their time is over.
 *
 * A month is made beside the table and then attached, which keeps nobody from writing. One that has begun is not made any
 * more, since a writer may be on its way to the default partition: that takes what has no month, so no change is
 * ever refused. All of this is tried again and again, and gives way to whoever holds a lock that it needs.
 */
import type { Sql, Transaction } from '../postgres/connection.ts';
import { errorCode } from '../postgres/errors.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { transact } from '../postgres/transact.ts';
import { forgetDealStates } from '../store/deal-states.ts';
import { DEFAULT_PARTITION } from '../tables/history.ts';
import { INLINE_MAX_BYTES } from '../tables/storage.ts';

/** Months made ahead, beside the one that is under way. */
const MONTHS_AHEAD = 2;
/** How long anybody may be kept waiting behind us for the table. */
const LOCK_WAIT_MS = 500;
const STATEMENT_MAX_MS = 60_000;

interface Month {
  readonly name: string;
  /** First moment, and the first of the next month, in UTC. */
  readonly from: string;
  readonly to: string;
}

function monthAt(year: number, month: number): Month {
  const start = (offset: number) => new Date(Date.UTC(year, month + offset, 1)).toISOString();
  return { name: `history_${start(0).slice(0, 7).replace('-', '_')}`, from: start(0), to: start(1) };
}

export function monthsFrom(now: Date): readonly [Month, ...Month[]] {
  const ahead = (months: number) => monthAt(now.getUTCFullYear(), now.getUTCMonth() + months);
  return [ahead(0), ...Array.from({ length: MONTHS_AHEAD }, (_, index) => ahead(index + 1))];
}

/**
 * Makes the partitions that are missing and drops those that hold nothing younger than `retentionMs` (0 keeps all).
 * Several processes may call it at once. Nothing is done of what would have to wait for a lock; the next call does it.
 * @returns the names of the partitions.
 */
export async function maintainHistory(sql: Sql, retentionMs: number) {
  const limits = { byKey: false, statementTimeoutMs: STATEMENT_MAX_MS, lockTimeoutMs: LOCK_WAIT_MS };
  const gently = (work: (tx: Transaction) => Promise<readonly string[]>) =>
    transact(sql, work, limits).catch((error): readonly string[] => {
      if (errorCode(error) !== SQLSTATE.lockNotAvailable) throw error;
      return [];
    });
  const made = await gently(makeMonths);
  return { made, dropped: retentionMs > 0 ? await gently((tx) => dropOld(tx, retentionMs)) : [] };
}

/** Makes the months to come that are missing, within the caller's transaction; returns their names. */
async function makeMonths(tx: Transaction): Promise<readonly string[]> {
  const now = await lockMonths(tx);
  const [, ...toCome] = monthsFrom(now);
  const standing = new Set(await standingMonths(tx));
  const missing = toCome.filter(({ name }) => !standing.has(name));
  if (missing.length > 0) await tx.unsafe(missing.map(attached).join(';\n'));
  return missing.map(({ name }) => name);
}

/** Makes the month under way and those to come, for a table that nobody else has seen yet. */
export async function makeFirstMonths(tx: Transaction): Promise<void> {
  const months = monthsFrom(await lockMonths(tx));
  await tx.unsafe(months.map(attached).join(';\n'));
}

/** Keeps other replicas from the months until the transaction ends; returns the database's time. */
async function lockMonths(tx: Transaction): Promise<Date> {
  await tx.unsafe('lock table only sync.history in share update exclusive mode');
  const [clock] = (await tx`select clock_timestamp() as now`) as unknown as [{ readonly now: Date }];
  return clock.now;
}

function attached({ name, from, to }: Month): string {
  const partition = `sync.${identifier(name)}`;
  return `
    create table ${partition} (like sync.history including defaults including constraints)
      with (toast_tuple_target = ${INLINE_MAX_BYTES});
    alter table sync.history attach partition ${partition} for values from (${literal(from)}) to (${literal(to)});
    comment on table ${partition} is ${literal(`Changes recorded from ${from.slice(0, 10)} on, for a month (UTC)`)}`;
}

async function dropOld(tx: Transaction, retentionMs: number): Promise<readonly string[]> {
  const horizon = new Date((await lockMonths(tx)).getTime() - retentionMs);
  const { name: youngestKept, from } = monthAt(horizon.getUTCFullYear(), horizon.getUTCMonth());
  const old = (await standingMonths(tx)).filter((name) => name < youngestKept);
  for (const name of old) await tx.unsafe(`drop table sync.${identifier(name)}`);
  // Nearly always empty: only what came in a month that had no partition.
  await tx.unsafe(`delete from sync.${DEFAULT_PARTITION} where recorded_at < $1`, [from]);
  await forgetDealStates(tx, from);
  return old;
}

/** Names of the partitions that hold a month each; they sort by time. */
async function standingMonths(tx: Transaction): Promise<readonly string[]> {
  const rows = await tx`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'sync.history'::regclass and c.relname ~ '^history_[0-9]{4}_[0-9]{2}$'
     order by c.relname`;
  return rows.map(({ name }) => name as string);
}
