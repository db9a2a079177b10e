/** The shape that all mirror tables share. */
import { bigint, pgSchema } from 'drizzle-orm/pg-core';
import type { Fields, ModelDeclaration } from '../../catalog/types.ts';
import { fieldColumns, metaColumns } from './columns.ts';

/** Schema of the mirror tables. */
export const flowlu = pgSchema('flowlu');

/**
 * The table of one model. Its primary key is its only constraint: the order in which records arrive
 * is not the source's, so a foreign key or a second unique column would refuse true rows.
 */
export function mirrorTable<const T extends string, F extends Fields>(name: T, declaration: ModelDeclaration<F>) {
  return flowlu.table(name, {
    ...fieldColumns(declaration.fields),
    id: bigint('id', { mode: 'bigint' }).primaryKey(),
    ...metaColumns(),
  });
}
