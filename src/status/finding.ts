/** One finding about the mirror's health: made by a judge and shown everywhere. */

/** `bad`: out of order. `care`: the mirror continues, but a person has to look. `note`: nothing to do. */
export type Severity = 'bad' | 'care' | 'note';

export type FindingCode =
  | 'database_away'
  | 'schema'
  | 'not_accepting'
  | 'not_readable'
  | 'locked'
  | 'rows_intercepted'
  | 'other_zone'
  | 'zone_contradicted'
  | 'clock_set_back'
  | 'key_refused'
  | 'login_refused'
  | 'portal_silent'
  | 'not_logged_in'
  | 'deliveries_failed'
  | 'deliveries_waiting'
  | 'models_unreadable'
  | 'rows_held'
  | 'catch_up_failed'
  | 'nothing_read'
  | 'not_compared'
  | 'doubts_unsettled'
  | 'rows_hidden'
  | 'first_reading'
  | 'reading_interrupted'
  | 'no_api'
  | 'no_webhook'
  | 'webhooks_refused'
  | 'values_unfit';

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** ISO 8601; null if unknown. */
  readonly since: string | null;
  /** One sentence without a full stop. */
  readonly sentence: string;
  /** What to do, as a sentence; null if nothing. */
  readonly remedy: string | null;
  /** What to type; null if nothing. */
  readonly command: string | null;
  /** The models concerned, if only some are. */
  readonly models?: readonly string[];
}
