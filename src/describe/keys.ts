/**
 * Keys and links of the views, in the words of tools that find them nowhere in the database, since views have none. Pure.
 *
 * One description of the relations, and one renderer for each tool.
 */
import { findModel } from '../catalog/index.ts';
import type { View } from '../views/view.ts';

interface Link {
  readonly column: string;
  readonly target: Relation;
}

interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly comment: string;
  /** Columns that tell the rows apart and are never null; empty where there are none. */
  readonly key: readonly string[];
  readonly columns: readonly { readonly name: string; readonly type: string; readonly comment: string }[];
  readonly links: readonly Link[];
}

/** The live views and the ready-made ones; those of the past have several rows for a record. */
function relationsOf(views: readonly View[]): readonly Relation[] {
  const shown = views.filter(({ schema }) => schema !== 'flowlu_history');
  const relations = new Map(
    shown.map(({ schema, name, model, comment, key = model === null ? [] : ['id'], hasNobody = false, columns }) => {
      const isKey = key.length === 1 && !hasNobody;
      const relation = { schema, name, comment, key: isKey ? key : [], columns, links: [] as Link[] };
      return [`${schema}.${name}`, relation] as const;
    }),
  );
  for (const relation of relations.values()) {
    const { columns } = relation;
    for (const { name, references } of columns) {
      const target = relations.get(`flowlu_live.${findModel(references ?? '')?.table}`);
      const isItself = relation.schema === 'flowlu_live' && name === 'id';
      if (target !== undefined && !isItself) relation.links.push({ column: name, target });
    }
  }
  return [...relations.values()];
}

const pascal = (...words: readonly string[]) =>
  words
    .flatMap((word) => word.split('_'))
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
const oneLine = (text: string) => text.replace(/\s+/g, ' ').replaceAll('*/', '* /');

/** What the driver `pg` makes of each type; what is exact and longer than a number stays text. */
const TYPESCRIPT: Readonly<Record<string, string>> = {
  bigint: 'string',
  numeric: 'string',
  integer: 'number',
  boolean: 'boolean',
  date: 'Date',
  timestamptz: 'Date',
  jsonb: 'unknown',
  'text[]': 'string[]',
};

/** Types for Kysely, or for any program in TypeScript. */
function kysely(relations: readonly Relation[]): string {
  const interfaces = relations.map(({ schema, name, comment, key, columns, links }) => {
    const fields = columns.map((column) => {
      const link = links.find((one) => one.column === column.name);
      const leads = link === undefined ? '' : ` → ${link.target.schema}.${link.target.name}.id`;
      const type = TYPESCRIPT[column.type] ?? 'string';
      return `  /** ${oneLine(column.comment)}${leads} */\n  ${/^[a-z_]\w*$/.test(column.name) ? column.name : JSON.stringify(column.name)}: ${type}${key.includes(column.name) ? '' : ' | null'};`;
    });
    return `/** ${oneLine(comment)} */\nexport interface ${pascal(schema, name)} {\n${fields.join('\n')}\n}`;
  });
  const tables = relations.map(({ schema, name }) => `  '${schema}.${name}': ${pascal(schema, name)};`);
  return `${interfaces.join('\n\n')}\n\nexport interface Database {\n${tables.join('\n')}\n}\n`;
}

/** Smart tags for PostGraphile: a file `postgraphile.tags.json5`. */
function postgraphile(relations: readonly Relation[]): string {
  const tagged = relations.map(({ schema, name, key, links }) => {
    const foreignKey = links.map(({ column, target }) => `(${column}) references ${target.schema}.${target.name} (id)`);
    return [`${schema}.${name}`, { tags: { ...(key.length > 0 && { primaryKey: key.join(',') }), foreignKey } }];
  });
  return `${JSON.stringify({ version: 1, config: { class: Object.fromEntries(tagged) } }, null, 2)}\n`;
}

const PRISMA: Readonly<Record<string, string>> = {
  bigint: 'BigInt',
  numeric: 'Decimal',
  integer: 'Int',
  boolean: 'Boolean',
  date: 'DateTime',
  timestamptz: 'DateTime',
  jsonb: 'Json',
  'text[]': 'String[]',
};
const PRISMA_NATIVE: Readonly<Record<string, string>> = { date: ' @db.Date', timestamptz: ' @db.Timestamptz(6)' };

/** View blocks for a Prisma schema with the preview feature `views`; views without a key cannot be queried there. */
function prisma(relations: readonly Relation[]): string {
  const known = relations.filter(({ key }) => key.length > 0);
  const links = known.flatMap((from) => from.links.map((link) => ({ ...link, from })));
  return known
    .map((relation) => {
      const { schema, name, key, columns } = relation;
      const fields = columns.map((column) => {
        const isKey = key.includes(column.name);
        const type = PRISMA[column.type] ?? 'String';
        const optional = isKey || type.endsWith('[]') ? '' : '?';
        return `  ${column.name} ${type}${optional}${isKey ? ' @unique' : ''}${PRISMA_NATIVE[column.type] ?? ''}`;
      });
      const titleOf = ({ from, column }: (typeof links)[number]) =>
        JSON.stringify(`${from.schema}_${from.name}_${column}`);
      const out = links
        .filter(({ from }) => from === relation)
        .map((link) => {
          const { column, target } = link;
          return `  to_${column} ${pascal(target.schema, target.name)}? @relation(${titleOf(link)}, fields: [${column}], references: [id])`;
        });
      const back = links
        .filter(({ target }) => target === relation)
        .map(
          (link) =>
            `  from_${link.from.schema}_${link.from.name}_${link.column} ${pascal(link.from.schema, link.from.name)}[] @relation(${titleOf(link)})`,
        );
      const body = [...fields, ...out, ...back, '', `  @@map("${name}")`, `  @@schema("${schema}")`];
      return `view ${pascal(schema, name)} {\n${body.join('\n')}\n}\n`;
    })
    .join('\n');
}

const RENDERERS = { kysely, postgraphile, prisma } as const;
export type Tool = keyof typeof RENDERERS;
export const TOOLS = Object.keys(RENDERERS) as readonly Tool[];

/** The keys of these views for a tool, as the text of one file. */
export const keysFor = (tool: Tool, views: readonly View[]): string => RENDERERS[tool](relationsOf(views));
