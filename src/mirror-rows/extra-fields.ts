/** The field names and forms of values found in the records of a model that the catalogue does not know. */
import { splitName } from '../catalog/name.ts';
import type { Queryable } from '../postgres/connection.ts';

export type ValueForm = 'flag' | 'whole' | 'digits' | 'decimal' | 'day' | 'moment' | 'json' | 'text';

export interface FieldForms {
  /** As spelt in the records. */
  readonly key: string;
  /** Forms that occur among its values; an empty value has none. */
  readonly forms: readonly ValueForm[];
}

const RECORDS = 10_000;
/** Fields considered. More would not fit into a view. */
const MAX_FIELDS = 1_000;

export async function formsOfFields(sql: Queryable, name: string): Promise<readonly FieldForms[]> {
  const { module, model } = splitName(name);
  const rows = await sql`
    select key, coalesce(array_agg(distinct form) filter (where form is not null), '{}') as forms
      from (select e.key, case jsonb_typeof(e.value)
                     when 'boolean' then 'flag'
                     when 'number' then case when e.value #>> '{}' ~ '^-?[0-9]{1,18}$' then 'whole' else 'decimal' end
                     when 'string' then case
                       when v.text = '' or v.text like '0000-00-00%' then null
                       when v.text ~ '^-?(0|[1-9][0-9]{0,17})$' then 'digits'
                       when v.text ~ '^-?[0-9]{1,30}[.][0-9]{1,30}$' then 'decimal'
                       when v.text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' then 'day'
                       when v.text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?$' then 'moment'
                       else 'text' end
                     when 'null' then null
                     else 'json' end as form
              from (select _record from flowlu.uncatalogued
                     where module = ${module} and model = ${model} and _deleted_at is null
                     order by id desc limit ${RECORDS}) as r
             cross join jsonb_each(r._record) as e
             cross join lateral (select left(e.value #>> '{}', 100) as text) as v) as found
     group by key order by key limit ${MAX_FIELDS}`;
  return rows as unknown as readonly FieldForms[];
}
