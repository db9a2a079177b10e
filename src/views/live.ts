/** Every view of schema `flowlu_live`. Pure. */
import { models } from '../catalog/index.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { metaColumnDocs } from '../tables/columns.ts';
import { extraView } from './extra-models.ts';
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
    ],
    from: `(
${branches.join('\nunion all\n')}
) as s (model, rows, deleted_rows, last_change_at)
left join sync.watermarks w on w.model = s.model
left join (select model, count(*) as doubtful_rows from sync.doubtful group by model) d on d.model = s.model`,
    keep: keepEmpty,
  };
}

/** Every view of schema `flowlu_live`. */
export function liveViews(facts: LiveFacts): readonly View[] {
  const known = [...models.map((model) => modelView(model, facts)), uncatalogued, syncStatus()];
  // In names of views the dot between module and model is lost.
  const taken = new Set(['data_dictionary', ...known.map(({ name }) => name)]);
  const extra = Object.entries(facts.extraFields).map(([model, fields]) => extraView(model, fields, facts.zone));
  return [...known, ...extra.filter(({ name }) => !taken.has(name) && taken.add(name))];
}
