/** Every view of schema `flowlu_live`. Pure. */
import { models } from '../catalog/index.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { metaColumnDocs } from '../tables/columns.ts';
import { keepEmpty, type LiveFacts, modelView, type View, type ViewColumn } from './live-columns.ts';

const derived = (
  name: string,
  type: string,
  comment: string,
  expression = identifier(name),
  references: string | null = null,
): ViewColumn => ({ name, type, expression, comment, origin: 'derived', references });

const uncatalogued: View = {
  schema: 'flowlu_live',
  name: 'uncatalogued',
  model: null,
  comment: 'Records of models that the catalogue does not know: live records',
  columns: [
    derived('module', 'text', 'Flowlu module'),
    derived('model', 'text', 'Flowlu model'),
    derived('id', 'bigint', 'Identifier in Flowlu'),
    derived('record', 'jsonb', metaColumnDocs._record, '_record'),
  ],
  from: 'flowlu.uncatalogued where _deleted_at is null',
  keep: keepEmpty,
};

const COUNTS = `count(*) filter (where _deleted_at is null), count(*) filter (where _deleted_at is not null), max(_observed_at)`;

/**
 * Seconds since the comparison of the row after a part of all: those that the sweep under way has passed are younger, the
 * others were compared at an even pace in the last one.
 */
const comparedAgo = (part: string) => `case when p.swept_from is not null then ceil(extract(epoch from now() - (
  p.swept_from + (p.swept_until - p.swept_from) * least(1, coalesce(u.rows_read::float8 / nullif(s.rows, 0), 0) + ${part})))) end`;

/** Freshness per model. Counts are exact, so asking for them reads every table once. */
function syncStatus(): View {
  const branches = models.map(
    ({ name, table }) => `select ${literal(name)}, ${COUNTS} from flowlu.${identifier(table)}`,
  );
  branches.push(`select module || '.' || model, ${COUNTS} from flowlu.uncatalogued group by 1`);
  return {
    schema: 'flowlu_live',
    name: 'sync_status',
    model: null,
    comment: 'How fresh the mirror is, per model',
    columns: [
      derived('model', 'text', 'Flowlu module and model', 's.model'),
      derived('rows', 'bigint', 'Live records in the mirror', 's.rows'),
      derived(
        'deleted_rows',
        'bigint',
        'Records that the mirror keeps although Flowlu has deleted them',
        's.deleted_rows',
      ),
      derived('last_change_at', 'timestamptz', 'When the mirror last learnt of a change', 's.last_change_at'),
      derived(
        'last_reconciled_at',
        'timestamptz',
        'When the model was last known to be in step with Flowlu',
        'w.last_reconciled_at',
      ),
      derived(
        'lag_seconds',
        'bigint',
        'Seconds since then; null before the first time',
        'case when w.last_reconciled_at is not null then greatest(0, extract(epoch from now() - w.last_reconciled_at))::bigint end',
      ),
      derived(
        'doubtful_rows',
        'bigint',
        'Records whose newest state is still to be settled through the API',
        'coalesce(d.doubtful_rows, 0)',
      ),
      derived(
        'announced_share',
        'numeric',
        'Of the last changes, the part that webhooks announced; null where that is not known',
        'case when p.poll_requests is not null then round(p.announced::numeric / nullif(p.announced + p.missed, 0), 3) end',
      ),
      derived(
        'found_by_polling',
        'bigint',
        'Of the last changes, those that no webhook announced',
        'coalesce(p.missed, 0)',
      ),
      derived(
        'oldest_compared_seconds',
        'bigint',
        'Seconds since the record was compared with Flowlu whose comparison is longest ago; estimated within a sweep',
        comparedAgo('0'),
      ),
      derived('compared_95_seconds', 'bigint', 'The same of 95 % of the records', comparedAgo('0.05')),
      derived(
        'change_shows_seconds',
        'bigint',
        'After how many seconds a change shows that no webhook announces, as expected at the present pace',
        'ceil(least(p.poll_interval, p.sweep_interval) / 2.0)',
      ),
      derived('delete_shows_seconds', 'bigint', 'The same of a delete', 'ceil(p.sweep_interval / 2.0)'),
      derived(
        'read_share',
        'numeric',
        'Part of the records that the first reading has brought; 1 once it is complete',
        'case when p.swept_from is not null then 1 else round(least(1, f.rows_read::numeric / nullif(f.total, 0)), 3) end',
      ),
    ],
    from: `(
${branches.join('\nunion all\n')}
) as s (model, rows, deleted_rows, last_change_at)
left join sync.watermarks w on w.model = s.model
left join sync.schedule p on p.model = s.model
left join sync.listings f on f.model = s.model and f.kind = 'backfill' and f.finished_at is null
left join sync.listings u on u.model = s.model and u.kind = 'sweep' and u.finished_at is null
left join (select model, count(*) as doubtful_rows from sync.doubtful group by model) d on d.model = s.model`,
    keep: keepEmpty,
  };
}

/** Every view of schema `flowlu_live`. */
export function liveViews(facts: LiveFacts): readonly View[] {
  return [...models.map((model) => modelView(model, facts)), uncatalogued, syncStatus()];
}
