/** Keeps the live views in step with the portal's custom fields while the service runs. */
import { createHash } from 'node:crypto';
import type { Logger } from '../core/log.ts';
import { formatMicros, MICROS_PER_MS, MICROS_PER_SECOND } from '../core/time.ts';
import { databaseClock } from '../postgres/clock.ts';
import type { Queryable, Sql, Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { allViews } from '../reports/all.ts';
import { readSettings, writeSetting } from '../store/settings.ts';
import type { LiveFacts } from '../views/live-columns.ts';
import { readLiveFacts, settleLiveFacts, zoneInForce } from '../views/live-facts.ts';
import { applyComments } from './comments.ts';
import { schemaState, trySchemaLock } from './migrate.ts';
import { asOwner } from './owner.ts';
import { applyViews, type KeptView } from './views.ts';

/** Shorter than the second after which PostgreSQL looks for deadlocks: between a reader and us, we give way. */
const VIEW_WAIT_MS = 500;
/** How long until it is looked whether what kept a column has gone. */
const RETRY_KEPT_SECONDS = 60;

export interface RefreshOptions {
  /** IANA name of the portal's zone, for a database that has not been told it. */
  readonly zone: string;
  /** The owner's address; null or left out where we are the owner ourselves, or nobody is. */
  readonly migrateUrl?: string | null;
  readonly log?: Pick<Logger, 'debug' | 'info'>;
}

/**
 * Looks which custom fields are defined now and brings the views to it. Any number of processes may do so at any time:
 * one at a time works, and only where something has changed.
 * @returns true when views were looked through.
 * @throws the driver's error when a view is in use for too long; nothing has changed then, and the next call tries again.
 */
export async function refreshViews(sql: Sql, { zone, migrateUrl = null, log }: RefreshOptions): Promise<boolean> {
  if (await areViewsCurrent(sql, zone)) return false;
  const refreshed = await asOwner(sql, migrateUrl, (owner) =>
    transact(owner, (tx) => refreshLocked(tx, zone), { byKey: false, lockTimeoutMs: VIEW_WAIT_MS }),
  );
  if (refreshed === null) {
    log?.debug({}, 'custom fields have changed, and the views are left to `migrate`: this role may not change them');
    return false;
  }
  const kept = refreshed.done;
  for (const view of kept ?? []) log?.info(view, 'view keeps columns that should go or change');
  return kept !== null;
}

/** False where custom fields have changed since the views were made. */
export async function areViewsCurrent(sql: Queryable, zone: string): Promise<boolean> {
  const inForce = await zoneInForce(sql, zone);
  return (await stateOf(sql, await readLiveFacts(sql, zone), inForce)) === 'current';
}

/** Facts only: replicas of two versions must agree on whether there is something to do. */
const fingerprint = ({ customColumns, extraFields }: LiveFacts, zone: string) =>
  createHash('sha256')
    .update(JSON.stringify([zone, [...customColumns], Object.entries(extraFields).sort()]))
    .digest('hex');

/** How the views stand to the facts; what was kept for dependants is tried again now and then. */
async function stateOf(sql: Queryable, facts: LiveFacts, zone: string): Promise<'current' | 'pending' | 'behind'> {
  const { live_facts: made } = await readSettings(sql, 'live_facts');
  if (made?.print !== fingerprint(facts, zone)) return 'behind';
  if (made.retry_at === null) return 'current';
  return Date.parse(made.retry_at) * MICROS_PER_MS < (await databaseClock(sql)) ? 'pending' : 'current';
}

async function refreshLocked(tx: Transaction, configured: string): Promise<readonly KeptView[] | null> {
  // Another process is at it, or migrates.
  if (!(await trySchemaLock(tx))) return null;
  // A later version has views of its own; they are not ours to change.
  if ((await schemaState(tx)) !== 'current') return null;
  const zone = await zoneInForce(tx, configured);
  const facts = await settleLiveFacts(tx, zone);
  const state = await stateOf(tx, facts, zone);
  if (state === 'current') return null;
  const views = allViews(facts);
  const kept = await applyViews(tx, views);
  await applyComments(tx, views, kept);
  const retry_at =
    kept.length > 0 ? formatMicros((await databaseClock(tx)) + RETRY_KEPT_SECONDS * MICROS_PER_SECOND) : null;
  await writeSetting(tx, 'live_facts', { print: fingerprint(facts, zone), retry_at });
  return state === 'behind' ? kept : [];
}
