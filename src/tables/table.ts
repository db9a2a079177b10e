import { sql } from 'drizzle-orm';
import { bigint, index, pgSchema } from 'drizzle-orm/pg-core';
import type { Fields, ModelDeclaration } from '../catalog/types.ts';
import { fieldColumns, metaColumns } from './columns.ts';
import { indexedColumns, mergedInto } from './indexes.ts';

export const flowlu = pgSchema('flowlu');

/**
 * The table of one model, with the indexes that its readers need and one for catching up. The primary key is its only
 * constraint: records do not arrive in the source's order, so a foreign key or a second unique column would reject
 * valid rows.
 */
export function mirrorTable<const T extends string, F extends Fields>(name: T, declaration: ModelDeclaration<F>) {
  const columns = {
    ...fieldColumns(declaration.fields),
    id: bigint('id', { mode: 'bigint' }).primaryKey(),
    ...metaColumns(),
  };
  const indexed = [...(indexedColumns[name] ?? []), ...(declaration.version === null ? [] : ['_version'])];
  const into = (mergedInto as Readonly<Record<string, string>>)[name];
  return flowlu.table(name, columns, (table) => {
    const own = (column: string) => table[column as keyof typeof table];
    return [
      ...indexed.map((column) => index(`${name}_${column}`).on(own(column))),
      ...(into === undefined
        ? []
        : [
            index(`${name}_merged`)
              .on(own(into), own('id'))
              .where(sql`${own(into)} is not null`),
          ]),
    ];
  });
}
