/**
 * Keys and links of the views, in the words of tools that find them nowhere in the database, since views have none. Pure.
 *
 * One description of the relations, and one renderer for each tool.
 */
import type { View } from '../views/view.ts';
import { metabase } from './metabase.ts';
import { type Relation, relationsOf } from './relations.ts';

const pascal = (...words: readonly string[]) =>
  words
    .flatMap((word) => word.split('_'))
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
const oneLine = (text: string) => text.replace(/\s+/g, ' ').replaceAll('*/', '* /');

/** What the driver `pg` makes of each type, where what is exact and longer than a number stays text; and Prisma's names. */
const TYPES: Readonly<Record<string, { readonly typescript: string; readonly prisma: string }>> = {
  bigint: { typescript: 'string', prisma: 'BigInt' },
  numeric: { typescript: 'string', prisma: 'Decimal' },
  integer: { typescript: 'number', prisma: 'Int' },
  boolean: { typescript: 'boolean', prisma: 'Boolean' },
  date: { typescript: 'Date', prisma: 'DateTime' },
  timestamptz: { typescript: 'Date', prisma: 'DateTime' },
  jsonb: { typescript: 'unknown', prisma: 'Json' },
  'text[]': { typescript: 'string[]', prisma: 'String[]' },
};

/** Types for Kysely, or for any program in TypeScript. */
function kysely(relations: readonly Relation[]): string {
  const interfaces = relations.map(({ schema, name, comment, key, columns, links }) => {
    const fields = columns.map((column) => {
      const link = links.find((one) => one.column === column.name);
      const leads = link === undefined ? '' : ` → ${link.target.schema}.${link.target.name}.id`;
      const type = TYPES[column.type]?.typescript ?? 'string';
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

const PRISMA_NATIVE: Readonly<Record<string, string>> = { date: ' @db.Date', timestamptz: ' @db.Timestamptz(6)' };

/** View blocks for a Prisma schema with the preview feature `views`; views without a key cannot be queried there. */
function prisma(relations: readonly Relation[]): string {
  const known = relations.filter(({ key }) => key.length > 0);
  const links = known.flatMap((from) =>
    from.links.map((link) => ({ ...link, from, title: `${from.schema}_${from.name}_${link.column}` })),
  );
  return known
    .map((relation) => {
      const { schema, name, key, columns } = relation;
      const fields = columns.map((column) => {
        const isKey = key.includes(column.name);
        const type = TYPES[column.type]?.prisma ?? 'String';
        const optional = isKey || type.endsWith('[]') ? '' : '?';
        return `  ${column.name} ${type}${optional}${isKey ? ' @unique' : ''}${PRISMA_NATIVE[column.type] ?? ''}`;
      });
      const out = links
        .filter(({ from }) => from === relation)
        .map(({ title, column, target }) => {
          const relates = `@relation("${title}", fields: [${column}], references: [id])`;
          return `  to_${column} ${pascal(target.schema, target.name)}? ${relates}`;
        });
      const back = links
        .filter(({ target }) => target === relation)
        .map(({ title, from }) => `  from_${title} ${pascal(from.schema, from.name)}[] @relation("${title}")`);
      const body = [...fields, ...out, ...back, '', `  @@map("${name}")`, `  @@schema("${schema}")`];
      return `view ${pascal(schema, name)} {\n${body.join('\n')}\n}\n`;
    })
    .join('\n');
}

/** As Power BI names the tables of a database when it loads them. */
const loaded = ({ schema, name }: Relation) => `'${schema} ${name}'`;

/**
 * Relationships of a Power BI project, a file `relationships.tmdl`. Filters may reach a table in one way only, so the first
 * link between tables that nothing connects yet is active; measures can ask for the others by USERELATIONSHIP.
 */
function powerbi(relations: readonly Relation[]): string {
  const groups = new Map(relations.map((relation) => [relation, relation]));
  const groupOf = (relation: Relation): Relation => {
    const next = groups.get(relation) ?? relation;
    return next === relation ? relation : groupOf(next);
  };
  const inOrder = relations.toSorted((a, b) => Number(a.schema === 'flowlu_live') - Number(b.schema === 'flowlu_live'));
  const written = inOrder.flatMap((from) =>
    from.links
      .filter(({ target }) => target !== from)
      .map(({ column, target }) => {
        const isActive = groupOf(from) !== groupOf(target);
        if (isActive) groups.set(groupOf(from), groupOf(target));
        return [
          `relationship '${from.schema} ${from.name} ${column}'`,
          ...(isActive ? [] : ['\tisActive: false']),
          `\tfromColumn: ${loaded(from)}.'${column.replaceAll("'", "''")}'`,
          `\ttoColumn: ${loaded(target)}.id\n`,
        ].join('\n');
      }),
  );
  return written.join('\n');
}

const RENDERERS = { kysely, metabase, postgraphile, powerbi, prisma } as const;
export type Tool = keyof typeof RENDERERS;
export const TOOLS = Object.keys(RENDERERS) as readonly Tool[];

export const keysFor = (tool: Tool, views: readonly View[]): string => RENDERERS[tool](relationsOf(views));
