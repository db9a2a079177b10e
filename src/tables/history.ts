/**
 * The table of changes. It is partitioned, which the schema generator cannot express, so it is created here after the
 * migrations; new columns must also be added here.
 *
 * Partitions are months of recording, not of observation. A reading may be accepted after something observed later, but
 * changes recorded later were accepted later. So dropping the oldest month removes the beginning of each entity's
 * history without leaving gaps.
 */
import type { Transaction } from '../postgres/connection.ts';
import { INLINE_MAX_BYTES } from './storage.ts';

/** For changes recorded in a month without a partition. */
export const DEFAULT_PARTITION = 'history_default';

const TABLE = `
  create table sync.history (
    number bigint generated always as identity,
    recorded_at timestamptz not null,
    model text not null,
    entity_id bigint not null,
    change text not null constraint history_change check (change in ('created', 'updated', 'deleted', 'revived')),
    version timestamptz,
    observed_at timestamptz not null,
    path text not null constraint history_path check (path in ('webhook', 'list', 'get')),
    before jsonb,
    after jsonb,
    prior_version timestamptz,
    prior_observed_at timestamptz,
    constraint history_pkey primary key (model, entity_id, number, recorded_at)
  ) partition by range (recorded_at);
  create table sync.${DEFAULT_PARTITION} partition of sync.history default
    with (toast_tuple_target = ${INLINE_MAX_BYTES});
  comment on table sync.${DEFAULT_PARTITION} is 'Changes recorded in a month that has no partition; normally empty'`;

/** Meanings of the columns, for people who read the table. */
export const historyDocs = {
  number: 'Order in which the mirror accepted the changes',
  recorded_at: 'When the change was recorded; chooses the partition',
  model: 'Flowlu module and model',
  entity_id: 'Identifier of the record in Flowlu',
  change: 'created, updated, deleted or revived',
  version: "Flowlu's own time of the change; null where it does not tell",
  observed_at: 'When the mirror learnt it: arrival of the webhook, or the moment before the API request was sent',
  path: 'Through what the mirror learnt it: webhook, list or get',
  before: 'Values that went, of the fields that changed, as Flowlu spelt them; null for a field that was not there',
  after: 'Values that came, of the same fields; null for a field that is not there any more',
  prior_version: "Flowlu's own time of the change before, by which the state that ended here had come about",
  prior_observed_at: 'When the mirror had learnt the state that ended here',
} as const;

export async function createHistoryTable(tx: Transaction): Promise<void> {
  await tx.unsafe(TABLE);
}
