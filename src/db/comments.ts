/** Comments on every schema, table, view and column, so that the database explains itself. */
import { findModel, models } from '../catalog/index.ts';
import type { Field, Model } from '../catalog/types.ts';
import type { Transaction } from './connection.ts';
import { dataDictionaryDocs, withReference } from './dictionary.ts';
import { syncStatusDocs } from './live.ts';
import { identifier, literal } from './quote.ts';
import { metaColumnDocs } from './schema/columns.ts';
import { syncTableDocs } from './schema/sync.ts';

/** One thing to comment on: a schema, a relation of it, or a column of that. */
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
  sync: 'Ledger of flowlu-mirror: deliveries, cursors, runs',
} as const;

/** What a column's comment says: meaning, labels of codes, and for links the column of the schema they point at. */
function fieldComment(schema: string, field: Field): string {
  const labels = Object.entries(field.labels ?? {}).map(([value, label]) => `${value} ${label}`);
  const text = [field.doc, labels.length > 0 ? `: ${labels.join(', ')}` : ''].join('');
  const target = findModel(field.references ?? '');
  return target === undefined ? text : withReference(text, `${schema}.${target.table}.id`);
}

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

function modelComments(model: Model): readonly Comment[] {
  const fieldsOf = (schema: string) =>
    Object.fromEntries(Object.entries(model.fields).map(([name, field]) => [name, fieldComment(schema, field)]));
  const title = `${model.title} (Flowlu ${model.name})`;
  return [
    ...relation('flowlu', model.table, 'table', title, { ...fieldsOf('flowlu'), ...metaColumnDocs }),
    ...relation('flowlu_live', model.table, 'view', `${title}: live records`, fieldsOf('flowlu_live')),
  ];
}

/** Every comment this version of the schema should have. Pure. */
export function expectedComments(): readonly Comment[] {
  const key = { module: 'Flowlu module', model: 'Flowlu model', id: 'Identifier in Flowlu' };
  const title = 'Records of models that the catalogue does not know';
  return [
    ...Object.entries(schemaTexts).map(([schema, text]): Comment => ({ kind: 'schema', schema, text })),
    ...models.flatMap(modelComments),
    ...relation('flowlu', 'uncatalogued', 'table', title, { ...key, ...metaColumnDocs }),
    ...relation('flowlu_live', 'uncatalogued', 'view', `${title}: live records`, {
      ...key,
      record: metaColumnDocs._record,
    }),
    ...relation('flowlu_live', 'sync_status', 'view', 'How fresh the mirror is, per model', syncStatusDocs),
    ...relation(
      'flowlu_live',
      'data_dictionary',
      'view',
      'Every column of the mirror: type, meaning, reference, how well it is filled',
      dataDictionaryDocs,
    ),
    ...Object.entries(syncTableDocs).flatMap(([name, text]) => relation('sync', name, 'table', text, {})),
  ];
}

/**
 * Writes the comments that differ from what they should be: one reading, at most one writing. What does
 * not exist, such as a new column of a view that had to stay as it was, is left out.
 */
export async function applyComments(tx: Transaction): Promise<void> {
  const rows = await tx<{ schema: string; relation: string | null; column: string | null; text: string | null }[]>`
    with relation as (
      select n.nspname, c.relname, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('flowlu', 'flowlu_live', 'sync') and c.relkind in ('r', 'v')
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
    from pg_namespace where nspname in ('flowlu', 'flowlu_live', 'sync')`;
  const present = new Map(rows.map(({ schema, relation: name, column, text }) => [nameOf(schema, name, column), text]));
  const statements = expectedComments().flatMap(({ kind, schema, relation: name, column, text }) => {
    const object = nameOf(schema, name, column);
    if (!present.has(object) || present.get(object) === text) return [];
    return [`comment on ${column === undefined ? kind : 'column'} ${object} is ${literal(text)}`];
  });
  if (statements.length > 0) await tx.unsafe(statements.join(';\n'));
}

const nameOf = (...parts: readonly (string | null | undefined)[]) =>
  parts
    .filter((part) => part !== null && part !== undefined)
    .map(identifier)
    .join('.');
