/** Keeps the live views in step with the portal's custom fields while the service runs. */
import { createHash } from 'node:crypto';
import { allViews } from './all-views.ts';
import { applyComments } from './comments.ts';
import { type Sql, type Transaction, transaction } from './connection.ts';
import { settleLiveFacts } from './live-facts.ts';
import { type DatabaseLog, silent } from './log.ts';
import { schemaState, trySchemaLock } from './migrate.ts';
import { applyViews, type KeptView } from './views.ts';

/** Key in `sync.settings`: fingerprint of the facts that the views were last made from. */
const FACTS = 'live_facts';
/** Shorter than the second after which PostgreSQL looks for deadlocks: between a reader and us, we give way. */
const VIEW_WAIT_MS = 500;

export interface RefreshOptions {
  /** IANA name of the portal's zone. */
  readonly zone: string;
  readonly log?: DatabaseLog;
}

/**
 * Looks which custom fields are defined now and brings the views to it. Any number of processes may do so at any time:
 * one at a time works, and only where something has changed.
 * @returns true when views were looked through.
 * @throws the driver's error when a view is in use for too long; nothing has changed then, and the next call tries again.
 */
export async function refreshViews(sql: Sql, { zone, log = silent }: RefreshOptions): Promise<boolean> {
  const kept = await transaction(sql, { lockTimeoutMs: VIEW_WAIT_MS }, (tx) => refreshLocked(tx, zone));
  for (const view of kept ?? []) log.info(view, 'view keeps columns');
  return kept !== null;
}

async function refreshLocked(tx: Transaction, zone: string): Promise<readonly KeptView[] | null> {
  // Another process is at it, or migrates.
  if (!(await trySchemaLock(tx))) return null;
  // A later version has views of its own; they are not ours to change.
  if ((await schemaState(tx)) !== 'current') return null;
  const facts = await settleLiveFacts(tx, zone);
  // Facts only: replicas of two versions must agree on whether there is something to do.
  const print = createHash('sha256')
    .update(JSON.stringify([facts.zone, [...facts.customColumns]]))
    .digest('hex');
  const [row] = await tx<{ print: string; pending: boolean }[]>`
    select value ->> 'print' as print, (value ->> 'pending')::boolean as pending from sync.settings where key = ${FACTS}`;
  if (row?.print === print && !row.pending) return null;
  const views = allViews(facts);
  const kept = await applyViews(tx, views);
  await applyComments(tx, views);
  const value = JSON.stringify({ print, pending: kept.length > 0 });
  await tx`
    insert into sync.settings (key, value) values (${FACTS}, ${value}::text::jsonb)
    on conflict (key) do update set value = excluded.value`;
  return row?.print === print ? null : kept;
}
