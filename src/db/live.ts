/** What the views of schema `flowlu_live` show. Pure. */
import { models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import { identifier, literal } from './quote.ts';
import { sqlTypes } from './schema/columns.ts';

/** One column of a view. */
export interface ViewColumn {
  readonly name: string;
  /** SQL that yields it, in terms of the view's `from`. */
  readonly expression: string;
  readonly type: string;
}

/** A view for analysts. */
export interface View {
  /** Where it stands; `flowlu_live` when left out. */
  readonly schema?: 'flowlu_history';
  readonly name: string;
  readonly columns: readonly ViewColumn[];
  /** What follows `from`. */
  readonly from: string;
}

const plain = (name: string, type: string): ViewColumn => ({ name, type, expression: identifier(name) });

/** Live records of one model: its own fields, no underscore columns. */
function modelView(model: Model): View {
  return {
    name: model.table,
    columns: Object.entries(model.fields).map(([name, field]) => plain(name, sqlTypes[field.kind])),
    from: `flowlu.${identifier(model.table)} where _deleted_at is null`,
  };
}

const uncatalogued: View = {
  name: 'uncatalogued',
  columns: [
    plain('module', 'text'),
    plain('model', 'text'),
    plain('id', 'bigint'),
    { name: 'record', expression: '_record', type: 'jsonb' },
  ],
  from: 'flowlu.uncatalogued where _deleted_at is null',
};

const COUNTS = `count(*) filter (where _deleted_at is null), count(*) filter (where _deleted_at is not null), max(_observed_at)`;

/** Freshness per model. Counts are exact, so asking for them reads every table once. */
function syncStatus(): View {
  const branches = models.map(
    ({ name, table }) => `select ${literal(name)}, ${COUNTS} from flowlu.${identifier(table)}`,
  );
  branches.push(`select module || '.' || model, ${COUNTS} from flowlu.uncatalogued group by 1`);
  return {
    name: 'sync_status',
    columns: [
      { name: 'model', type: 'text', expression: 's.model' },
      { name: 'rows', type: 'bigint', expression: 's.rows' },
      { name: 'deleted_rows', type: 'bigint', expression: 's.deleted_rows' },
      { name: 'last_change_at', type: 'timestamptz', expression: 's.last_change_at' },
      { name: 'last_reconciled_at', type: 'timestamptz', expression: 'w.last_reconciled_at' },
      {
        name: 'lag_seconds',
        type: 'bigint',
        expression:
          'case when w.last_reconciled_at is not null then greatest(0, extract(epoch from now() - w.last_reconciled_at))::bigint end',
      },
      { name: 'doubtful_rows', type: 'bigint', expression: 'coalesce(d.doubtful_rows, 0)' },
    ],
    from: `(
${branches.join('\nunion all\n')}
) as s (model, rows, deleted_rows, last_change_at)
left join sync.watermarks w on w.model = s.model
left join (select model, count(*) as doubtful_rows from sync.doubtful group by model) d on d.model = s.model`,
  };
}

/** What the columns of `flowlu_live.sync_status` mean. */
export const syncStatusDocs: Readonly<Record<string, string>> = {
  model: 'Flowlu module and model',
  rows: 'Live records in the mirror',
  deleted_rows: 'Records that the mirror keeps although Flowlu has deleted them',
  last_change_at: 'When the mirror last learnt of a change',
  last_reconciled_at: 'When the model was last known to be in step with Flowlu',
  lag_seconds: 'Seconds since then; null before the first time',
  doubtful_rows: 'Records whose newest state is still to be settled through the API',
};

/** Every view of schema `flowlu_live`. */
export function liveViews(): readonly View[] {
  return [...models.map(modelView), uncatalogued, syncStatus()];
}
