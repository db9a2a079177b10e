/** The common table of models that the catalogue does not know. */
import type { Queryable, Transaction } from '../postgres/connection.ts';

/** Models looked at; each name comes from a webhook, so there may be nonsense among them. */
const MAX_MODELS = 10_000;

/** Names, as `module.model`, of the models that have rows there. */
export async function uncataloguedModels(sql: Queryable): Promise<string[]> {
  const rows = await sql`
    select distinct module || '.' || model as name from flowlu.uncatalogued order by 1 limit ${MAX_MODELS}`;
  return rows.map((row) => row.name as string);
}

/** Removes rows that have found a table of their own. */
export async function deleteUncatalogued(
  tx: Transaction,
  { module, model }: { readonly module: string; readonly model: string },
  ids: readonly string[],
): Promise<void> {
  await tx`
    delete from flowlu.uncatalogued
     where module = ${module} and model = ${model} and id = any(${`{${ids.join(',')}}`}::bigint[])`;
}
