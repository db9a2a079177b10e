/** How much of a model the mirror has, in words: SQL on rows `l` of `LAST_LISTING` and `w` of `sync.watermarks`. Pure. */

import { models } from '../catalog/index.ts';
import { literal } from '../postgres/quote.ts';

/** How of each model the last reading ended, whatever goes on since, or that the first one goes on. */
export const LAST_LISTING = `(
  select distinct on (model) model, outcome, reason, rows_read, total, rows_unread,
         max(rows_held) over (partition by model) as rows_held
    from sync.listings order by model, outcome is null or (outcome = 'skipped' and is_open and rows_read > 0),
           finished_at desc nulls last, started_at desc
)`;

/** Models that the API cannot list: no reading has failed. */
const NO_LIST = models.flatMap(({ name, listable }) => (listable ? [] : [literal(name)])).join(', ');

export const COVERAGE = `case
  when l.model in (${NO_LIST}) then 'webhooks only'
  when l.outcome = 'skipped' then 'not readable: ' || coalesce(l.reason, 'unknown reason')
  when l.reason is not null and (l.outcome = 'complete' or (l.outcome = 'incomplete' and l.rows_unread > 0 and w.last_reconciled_at is not null))
  then 'complete but for some rows: ' || l.reason
  when l.rows_held > 0 then 'complete but for some rows: ' || l.rows_held || ' are listed no more, and kept until that is confirmed'
  when w.last_reconciled_at is not null then 'complete'
  when l.model is not null then 'partial'
  else 'webhooks only' end`;

export const COVERAGE_MEANS =
  'How the table is filled: complete (read in full through the API at least once), complete but for some rows with the reason, partial, webhooks only, or not readable with the reason';
