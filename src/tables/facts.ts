/** Facts about the tables needed at run time. The definitions are for drizzle-kit and never loaded by the program. */
import type { FieldKind } from '../catalog/types.ts';

/** PostgreSQL type of each kind, short names as `format_type` spells them. */
export const sqlTypes: Readonly<Record<FieldKind, string>> = {
  id: 'bigint',
  link: 'bigint',
  text: 'text',
  integer: 'bigint',
  code: 'integer',
  decimal: 'numeric',
  flag: 'boolean',
  date: 'date',
  datetime: 'timestamptz',
  unix: 'timestamptz',
};

/** Meanings of the meta columns, for people who read the tables. */
export const metaColumnDocs = {
  _record: 'All fields as last known, unknown and custom ones included, as Flowlu sent them',
  _version: "Flowlu's own time of the last change; null where the model has none",
  _observed_at: 'When the mirror learnt it: arrival of the webhook, or the moment before the API request was sent',
  _source: 'What the mirror learnt it from: webhook or api; erased where, on a privacy request, only the id is held',
  _deleted_at: 'When the mirror learnt that the record was deleted; null while it is live',
  _hash: 'Fingerprint of the content of _record',
} as const;

/** One line per ledger table, for people who use psql. */
export const syncTableDocs: Readonly<Record<string, string>> = {
  deliveries: 'Every webhook delivery in order of arrival, with its original text and what became of it',
  doubtful: 'Rows that the merge rules could not decide; a reading of the record through the API settles them',
  listings: 'Newest complete listing of each model, finished or under way, with its position and counts',
  suspects: 'Live rows that a sweep under way has not come across: deleted, perhaps',
  listed_ids: 'Ids that a listing by page numbers under way has come across',
  measurements: 'What the portal has been found to do, and when it was last seen to do so',
  watermarks: 'How far incremental reading came, per model',
  schedule: 'When each model was last asked for by itself, what that took, and what webhooks had missed',
  runs: 'Backfills, reconciliations, sweeps and verifications, with their outcome',
  api_budget: 'When the next free slot for an API request begins, for all replicas together',
  leases: 'Who does the work that only one replica may do, and until when',
  settings: 'Facts about this mirror, such as the portal it belongs to',
  oauth_grant: 'What the portal has granted by OAuth; the tokens are encrypted with a key that is not in the database',
  oauth_requests: 'Logins under way, by the hash of what the browser has to bring back',
  custom_columns: 'Under which names custom fields stand in the live views, now and formerly',
  deal_states: 'What deals were, state by state, on their way through the pipelines; worked out from the history',
};
