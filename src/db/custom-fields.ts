/** Custom field definitions, as the mirror itself has them. */
import type { Sql } from './connection.ts';

export interface CustomFieldAlias {
  /** `module.model` of the records that carry the field. */
  readonly model: string;
  /** `cf_{alias}` */
  readonly alias: string;
  /** `cf_{id}` */
  readonly name: string;
}

/** Definitions looked at; a portal has some dozens. */
const MAX_DEFINITIONS = 20_000;

/** The second names of custom fields that are defined now. */
export async function findCustomFieldAliases(sql: Sql): Promise<CustomFieldAlias[]> {
  const rows = await sql`
    select module || '.' || model as model, 'cf_' || alias as alias, 'cf_' || id as name
      from flowlu.customfields_fields
     where _deleted_at is null and alias <> '' and module <> '' and model <> ''
     order by id
     limit ${MAX_DEFINITIONS}`;
  return rows as unknown as CustomFieldAlias[];
}
