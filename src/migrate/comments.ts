/** Comments on every schema, table, view and column, so that the database explains itself. */
import { findModel, models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import type { Transaction } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { codeLabelDocs } from '../reports/codes.ts';
import { metaColumnDocs, syncTableDocs } from '../tables/facts.ts';
import { historyDocs } from '../tables/history.ts';
import { withReference } from '../views/dictionary.ts';
import { fieldMeaning } from '../views/live-columns.ts';
import type { View } from '../views/view.ts';
import { type KeptView, viewName } from './views.ts';

export interface Comment {
  readonly kind: 'schema' | 'table' | 'view';
  readonly schema: string;
  readonly relation?: string;
  readonly column?: string;
  readonly text: string;
}

const schemaTexts = {
  flowlu: 'Mirror of the Flowlu portal: one table per model, deleted records included',
  flowlu_live: 'Mirror of the Flowlu portal: one view per model, live records only',
  flowlu_history: 'Past of the Flowlu portal as the mirror saw it: one view per model with every state of its records',
  flowlu_reports:
    'Mirror of the Flowlu portal: ready-made views for the usual questions, with names in place of numbers',
  sync: 'Ledger of flowlu-mirror: deliveries, cursors, runs',
} as const;

function relation(
  schema: string,
  name: string,
  kind: Comment['kind'],
  text: string,
  columns: Readonly<Record<string, string>>,
) {
  const own: Comment = { schema, relation: name, kind, text };
  return [own, ...Object.entries(columns).map(([column, doc]): Comment => ({ ...own, column, text: doc }))];
}

/** The text, and for a link the column that it leads to in the schema. */
function commentOf(text: string, schema: string, references: string | null | undefined): string {
  const target = findModel(references ?? '');
  return target === undefined ? text : withReference(text, `${schema}.${target.table}.id`);
}

function modelComments(model: Model): readonly Comment[] {
  const fields = Object.entries(model.fields).map(
    ([name, field]) => [name, commentOf(fieldMeaning(field), 'flowlu', field.references)] as const,
  );
  const title = `${model.title} (Flowlu ${model.name})`;
  return relation('flowlu', model.table, 'table', title, { ...Object.fromEntries(fields), ...metaColumnDocs });
}

function viewComments({ schema, name, comment, columns }: View): readonly Comment[] {
  const docs = columns.map((column) => [column.name, commentOf(column.comment, 'flowlu_live', column.references)]);
  return relation(schema, name, 'view', comment, Object.fromEntries(docs));
}

/** Every comment this version of the schema should have, these views included. Pure. */
export function expectedComments(views: readonly View[]): readonly Comment[] {
  const key = { module: 'Flowlu module', model: 'Flowlu model', id: 'Identifier in Flowlu' };
  const title = 'Records of models that the catalogue does not know';
  const history = 'Every change that the mirror accepted, in partitions by month';
  return [
    ...Object.entries(schemaTexts).map(([schema, text]): Comment => ({ kind: 'schema', schema, text })),
    ...models.flatMap(modelComments),
    ...relation('flowlu', 'uncatalogued', 'table', title, { ...key, ...metaColumnDocs }),
    ...views.flatMap(viewComments),
    ...relation('flowlu_reports', 'code_labels', 'table', codeLabelDocs.table, codeLabelDocs.columns),
    ...relation('sync', 'history', 'table', history, historyDocs),
    ...Object.entries(syncTableDocs).flatMap(([name, text]) => relation('sync', name, 'table', text, {})),
  ];
}

/** What is said of columns that stand only because something depends on their view. */
function keptComments(views: readonly View[], kept: readonly KeptView[]): readonly Comment[] {
  return views.flatMap(({ schema, name, columns }) => {
    const surplus = kept.find(({ view }) => view === viewName({ schema, name }))?.columns ?? [];
    return surplus
      .filter((column) => columns.every((wanted) => wanted.name !== column))
      .map((column): Comment => ({ kind: 'view', schema, relation: name, column, text: KEPT }));
  });
}

const KEPT = 'No longer a column of this view; stays for what depends on the view, and goes with that';

/**
 * Writes the comments that differ from what they should be: one reading, at most one writing. What does
 * not exist, such as a new column of a view that had to stay as it was, is left out.
 */
export async function applyComments(
  tx: Transaction,
  views: readonly View[],
  kept: readonly KeptView[] = [],
): Promise<void> {
  const schemas = Object.keys(schemaTexts);
  const rows = await tx<{ schema: string; relation: string | null; column: string | null; text: string | null }[]>`
    with relation as (
      select n.nspname, c.relname, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any(${schemas}::text[]) and c.relkind in ('r', 'v', 'p')
    ), part as (
      select nspname, relname, null as attname, oid, 0 as objsubid from relation
      union all
      select nspname, relname, attname, oid, attnum from relation
      join pg_attribute on attrelid = oid and attnum > 0 and not attisdropped
    )
    select nspname as schema, relname as relation, attname as column, description as text
    from part left join pg_description d on d.objoid = oid and d.objsubid = part.objsubid and d.classoid = 'pg_class'::regclass
    union all
    select nspname, null, null, obj_description(oid, 'pg_namespace')
    from pg_namespace where nspname = any(${schemas}::text[])`;
  const present = new Map(rows.map(({ schema, relation: name, column, text }) => [nameOf(schema, name, column), text]));
  const statements = [...expectedComments(views), ...keptComments(views, kept)].flatMap(
    ({ kind, schema, relation: name, column, text }) => {
      const object = nameOf(schema, name, column);
      if (!present.has(object) || present.get(object) === text) return [];
      return [`comment on ${column === undefined ? kind : 'column'} ${object} is ${literal(text)}`];
    },
  );
  if (statements.length > 0) await tx.unsafe(statements.join(';\n'));
}

const nameOf = (...parts: readonly (string | null | undefined)[]) =>
  parts
    .filter((part) => part !== null && part !== undefined)
    .map(identifier)
    .join('.');
