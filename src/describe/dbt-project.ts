/** A dbt project that builds on the mirror: staging views of what is asked most, and each ready-made view as a table. Pure. */
import { models } from '../catalog/index.ts';
import type { DictionaryEntry } from '../views/dictionary.ts';
import type { View } from '../views/view.ts';
import { dbtSources, dbtText, toYaml } from './dbt.ts';

const NAME = 'flowlu';
const REPORTS = 'flowlu_reports';
const STAGED = ['crm_account', 'crm_lead', 'fin_invoice', 'fin_transaction', 'st_projects', 'task_tasks'];

const PROJECT = {
  name: NAME,
  version: '1.0.0',
  'config-version': 2,
  profile: NAME,
  'model-paths': ['models'],
  'test-paths': ['tests'],
  models: { [NAME]: { staging: { '+materialized': 'view' }, marts: { '+materialized': 'table' } } },
};

/** A key of the mirror's views may hold nulls, and nulls are values there: `unique` and `not_null` would say otherwise. */
const GRAIN = `{% test grain(model, columns) %}
select {{ columns | join(', ') }}, count(*) as rows from {{ model }} group by {{ columns | join(', ') }} having count(*) > 1
{% endtest %}
`;

const selectFrom = (schema: string, table: string) => `select * from {{ source('${schema}', '${table}') }}\n`;
const grain = (columns: readonly string[]) => [{ grain: { arguments: { columns } } }];

export function dbtProject(entries: readonly DictionaryEntry[], views: readonly View[]): ReadonlyMap<string, string> {
  const live = new Set(entries.flatMap((entry) => (entry.table_schema === 'flowlu_live' ? [entry.table_name] : [])));
  const staged = models.filter(({ table }) => STAGED.includes(table) && live.has(table));
  const reports = views.filter(({ schema }) => schema === REPORTS);
  const staging = staged.map(({ table, title }) => ({
    name: `stg_${table}`,
    description: `${title}: live records`,
    data_tests: grain(['id']),
  }));
  const marts = reports.map(({ name, comment, key = [], columns }) => ({
    name,
    description: dbtText(comment),
    data_tests: grain(key),
    columns: columns.map((column) => ({ name: column.name, description: dbtText(column.comment) })),
  }));
  const tables = reports.map(({ name }) => ({ name }));
  return new Map([
    ['dbt_project.yml', toYaml(PROJECT)],
    ['models/sources.yml', dbtSources(entries)],
    ['models/reports.yml', toYaml({ version: 2, sources: [{ name: REPORTS, schema: REPORTS, tables }] })],
    ['models/staging/staging.yml', toYaml({ version: 2, models: staging })],
    ['models/marts/marts.yml', toYaml({ version: 2, models: marts })],
    ['tests/generic/grain.sql', GRAIN],
    ...staged.map(({ table }) => [`models/staging/stg_${table}.sql`, selectFrom('flowlu_live', table)] as const),
    ...reports.map(({ name }) => [`models/marts/${name}.sql`, selectFrom(REPORTS, name)] as const),
  ]);
}
