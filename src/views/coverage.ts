/** How much of a model the mirror has, in words: SQL on rows `l` of `LAST_LISTING` and `w` of `sync.watermarks`. Pure. */

/** Of each model the last reading that has ended, or the first one while it goes on. */
export const LAST_LISTING = `(
  select distinct on (model) model, outcome, reason, rows_read, total
    from sync.listings order by model, finished_at is null, started_at desc
)`;

export const COVERAGE = `case
  when l.outcome = 'skipped' then 'not readable: ' || coalesce(l.reason, 'unknown reason')
  when l.outcome = 'complete' and l.reason is not null then 'complete but for some rows: ' || l.reason
  when w.last_reconciled_at is not null then 'complete'
  when l.model is not null then 'partial'
  else 'webhooks only' end`;

export const COVERAGE_MEANS =
  'How the table is filled: complete (read in full through the API at least once), complete but for some rows with the reason, partial, webhooks only, or not readable with the reason';
