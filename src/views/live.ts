/** Every view of schema `flowlu_live`. Pure. */
import { models } from '../catalog/index.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { metaColumnDocs } from '../tables/facts.ts';
import { COVERAGE, COVERAGE_MEANS, LAST_LISTING } from './coverage.ts';
import { extraView } from './extra-models.ts';
import { type LiveFacts, modelView } from './live-columns.ts';
import { c, type View, view } from './view.ts';

const uncatalogued = view({
  schema: 'flowlu_live',
  name: 'uncatalogued',
  comment: 'Records of models that the catalogue does not know: live records',
  columns: {
    module: c.text('module', 'Flowlu module'),
    model: c.text('model', 'Flowlu model'),
    id: c.number('id', 'Identifier in Flowlu'),
    record: c.json('_record', metaColumnDocs._record),
  },
  from: 'flowlu.uncatalogued where _deleted_at is null',
});

const COUNTS = `count(*) filter (where _deleted_at is null), count(*) filter (where _deleted_at is not null), max(_observed_at)`;

/**
 * Seconds since the comparison of the row after a part of all: those that the sweep under way has passed are younger, the
 * others were compared at an even pace in the last one.
 */
const comparedAgo = (part: string) => `case when p.swept_from is not null then ceil(extract(epoch from now() - (
  p.swept_from + (p.swept_until - p.swept_from) * least(1, coalesce(u.rows_read::float8 / nullif(s.rows, 0), 0) + ${part}))))::bigint end`;

/** Freshness per model. Counts are exact, so asking for them reads every table once. */
function syncStatus(): View {
  const branches = models.map(
    ({ name, table }) => `select ${literal(name)}, ${COUNTS} from flowlu.${identifier(table)}`,
  );
  branches.push(`select module || '.' || model, ${COUNTS} from flowlu.uncatalogued group by 1`);
  return view({
    schema: 'flowlu_live',
    name: 'sync_status',
    comment: 'How fresh the mirror is, per model',
    columns: {
      model: c.text('s.model', 'Flowlu module and model'),
      rows: c.count('s.rows', 'Live records in the mirror'),
      deleted_rows: c.count('s.deleted_rows', 'Records that the mirror keeps although Flowlu has deleted them'),
      last_change_at: c.moment('s.last_change_at', 'When the mirror last learnt of a change'),
      last_reconciled_at: c.moment('w.last_reconciled_at', 'When the model was last known to be in step with Flowlu'),
      lag_seconds: c.count(
        'case when w.last_reconciled_at is not null then greatest(0, extract(epoch from now() - w.last_reconciled_at))::bigint end',
        'Seconds since then; null before the first time',
      ),
      doubtful_rows: c.count(
        'coalesce(d.doubtful_rows, 0)',
        'Records whose newest state is still to be settled through the API',
      ),
      announced_share: c.amount(
        'case when p.poll_requests is not null then round(p.announced::numeric / nullif(p.announced + p.missed, 0), 3) end',
        'Of the last changes, the part that webhooks announced; null where that is not known',
      ),
      found_by_polling: c.count('coalesce(p.missed, 0)', 'Of the last changes, those that no webhook announced'),
      oldest_compared_seconds: c.count(
        comparedAgo('0'),
        'Seconds since the record was compared with Flowlu whose comparison is longest ago; estimated within a sweep',
      ),
      compared_95_seconds: c.count(comparedAgo('0.05'), 'The same of 95 % of the records'),
      change_shows_seconds: c.count(
        'ceil(least(p.poll_interval, p.sweep_interval) / 2.0)::bigint',
        'After how many seconds a change shows that no webhook announces, as expected at the present pace',
      ),
      delete_shows_seconds: c.count('ceil(p.sweep_interval / 2.0)::bigint', 'The same of a delete'),
      read_share: c.amount(
        `case when l.outcome = 'skipped' then null
              when p.swept_from is null
              then round(l.rows_read::numeric / nullif(greatest(l.total, l.rows_read + l.rows_unread), 0), 3)
              when l.rows_unread > 0 then round(least(0.999, p.rows::numeric / (p.rows + l.rows_unread)), 3)
              else 1 end`,
        'Part of the records that reading has brought, about; 1 once it is complete, null where the model cannot be read',
      ),
      coverage: c.text(COVERAGE, COVERAGE_MEANS),
    },
    from: `(
${branches.join('\nunion all\n')}
) as s (model, rows, deleted_rows, last_change_at)
left join sync.watermarks w on w.model = s.model
left join sync.schedule p on p.model = s.model
left join ${LAST_LISTING} l on l.model = s.model
left join sync.listings u on u.model = s.model and u.kind = 'sweep' and u.is_open
left join (select model, count(*) as doubtful_rows from sync.doubtful group by model) d on d.model = s.model`,
  });
}

export function liveViews(facts: LiveFacts): readonly View[] {
  const known = [...models.map((model) => modelView(model, facts)), uncatalogued, syncStatus()];
  // In names of views the dot between module and model is lost.
  const taken = new Set(['data_dictionary', ...known.map(({ name }) => name)]);
  const extra = Object.entries(facts.extraFields).map(([model, fields]) => extraView(model, fields, facts.zone));
  return [...known, ...extra.filter(({ name }) => !taken.has(name) && taken.add(name))];
}
