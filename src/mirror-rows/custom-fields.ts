import { readName } from '../catalog/other-names.ts';
import type { Queryable } from '../postgres/connection.ts';

export interface CustomField {
  /** Its number in Flowlu. Records carry the value as `cf_` and this number, or `cf_` and the alias. */
  readonly id: string;
  /** `module.model` of the records that carry the field. */
  readonly model: string;
  /** '' if it has none. */
  readonly alias: string;
  readonly title: string;
  /** Declared type, e.g. `price` or `select.single`. */
  readonly type: string;
}

/** Definitions read; a portal has a few dozen. */
const MAX_DEFINITIONS = 20_000;

/** The custom fields defined now, in order of id. What a definition leaves empty comes from its field set. */
export async function findCustomFields(sql: Queryable): Promise<readonly CustomField[]> {
  const rows = await sql<{ id: string; module: string; model: string; alias: string; title: string; type: string }[]>`
    select f.id::text as id, coalesce(nullif(f.module, ''), s.module) as module, coalesce(nullif(f.model, ''), s.model) as model,
           coalesce(f.alias, '') as alias, coalesce(f.name, '') as title, coalesce(f.type, '') as type
      from flowlu.customfields_fields f
      left join flowlu.customfields_fieldsets s on s.id = f.fieldset_id
     where f._deleted_at is null
       and coalesce(nullif(f.module, ''), s.module) <> '' and coalesce(nullif(f.model, ''), s.model) <> ''
     order by f.id
     limit ${MAX_DEFINITIONS}`;
  return rows.map(({ module, model, ...field }) => ({ ...field, model: ownerOf(module, model) }));
}

/** The catalogue's name of the model that a definition belongs to. */
export function ownerOf(module: string, model: string): string {
  return Object.values(readName(module, model)).join('.');
}
