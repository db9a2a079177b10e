/** The mirror as sources of a dbt project (1.10 or later). Pure. */
import { stringify } from 'yaml';
import { groupBy } from '../core/group.ts';
import type { DictionaryEntry } from '../views/dictionary.ts';

const HEADER = `# Written by \`flowlu-mirror models --dbt\`: write it again after an upgrade, or when custom fields have changed.
# Freshness is when a table was last known to agree with the portal. The newest _observed_at would call a table stale
# that nobody has changed for a week, although the mirror has looked at it a minute ago; it counts only where there is
# no API key, so that webhooks are all there is.
# Links may lead nowhere, because Flowlu lets records be deleted that others point at: relationships only warn.
`;

/** How old the agreement with the portal may be: serve renews it every few minutes, at the slowest every few hours. */
const FRESHNESS = { warn_after: { count: 6, period: 'hour' }, error_after: { count: 2, period: 'day' } } as const;

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  flowlu: 'Mirror of Flowlu: all records, deleted ones included, with technical columns',
  flowlu_live: 'Mirror of Flowlu: live records, for nearly every question',
};

/** What YAML's writers let stand in a string and some of its readers do not. */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;
const ESCAPE = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

const STYLE = {
  version: '1.1',
  lineWidth: 0,
  defaultStringType: 'QUOTE_DOUBLE',
  defaultKeyType: 'PLAIN',
  aliasDuplicateObjects: false,
} as const;

/** Plain data as YAML that readers of versions 1.1 and 1.2 understand alike; keys that are undefined are left out. */
export const toYaml = (value: unknown): string => stringify(value, STYLE).replace(UNPRINTABLE, ESCAPE);

/** A `sources.yml`: one source per schema, tables and columns as the data dictionary tells them. */
export function dbtSources(entries: readonly DictionaryEntry[]): string {
  const schemas = groupBy(entries, ({ table_schema }) => table_schema);
  const known = new Set(entries.map(({ table_schema, table_name }) => `${table_schema}.${table_name}`));
  const sources = [...schemas].map(([schema, rows]) => ({
    name: schema,
    schema,
    description: dbtText(DESCRIPTIONS[schema] ?? null),
    tables: [...groupBy(rows, ({ table_name }) => table_name).values()].map((columns) => tableOf(columns, known)),
  }));
  return `${HEADER}${toYaml({ version: 2, sources })}`;
}

function tableOf(columns: readonly DictionaryEntry[], known: ReadonlySet<string>) {
  const [first] = columns as readonly [DictionaryEntry];
  // The live views explain the fields; of the tables below them only what they add.
  const isMirrorTable = first.table_schema === 'flowlu';
  const shown = isMirrorTable ? columns.filter(({ column_name }) => /^(?:id$|_)/.test(column_name)) : columns;
  return {
    name: first.table_name,
    description: dbtText(first.table_meaning),
    config: isMirrorTable ? freshness(first) : undefined,
    columns: shown.map((column) => ({
      name: column.column_name,
      description: dbtText(column.meaning),
      data_type: column.data_type,
      data_tests: isMirrorTable ? undefined : relationship(column, known),
    })),
  };
}

/** None for what is no single model, and for what the key may not read. */
function freshness({ table_name, coverage }: DictionaryEntry) {
  if (coverage === null || coverage.startsWith('not readable')) return undefined;
  const model = table_name.replace('_', '.');
  return {
    loaded_at_query: `select coalesce(last_reconciled_at, last_change_at) from flowlu_live.sync_status where model = '${model}'`,
    freshness: FRESHNESS,
  };
}

function relationship({ refers_to }: DictionaryEntry, known: ReadonlySet<string>) {
  const [schema = '', table = '', field = ''] = (refers_to ?? '').split('.');
  if (!known.has(`${schema}.${table}`)) return undefined;
  return [
    { relationships: { arguments: { to: `source('${schema}', '${table}')`, field }, config: { severity: 'warn' } } },
  ];
}

/** A description; dbt would take two braces for a template of its own. */
export const dbtText = (meaning: string | null) => meaning?.replace(/\{(?=[{%#])/g, '{ ');
