/** A script that tells Metabase, by its API, the keys and links of the views, and makes a first dashboard. Pure. */
import type { Relation } from './relations.ts';

/** What Metabase calls columns that it treats in a way of their own. */
const KINDS: Readonly<Record<string, string>> = {
  email: 'type/Email',
  updated_at: 'type/UpdatedTimestamp',
  url: 'type/URL',
};

/** Of the first dashboard: a title, how it is drawn, and the question. */
const CARDS = [
  [
    'Open deals by stage',
    'bar',
    `
select concat_ws(', ', pipeline_name, stage_name) as stage, budget
  from flowlu_reports.sales_pipeline where open_deals > 0 order by pipeline_id, stage_position`,
  ],
  [
    'Won and lost by month',
    'line',
    `
select month, sum(won_budget) as won, sum(lost_budget) as lost
  from flowlu_reports.won_lost_by_month where month is not null group by month order by month`,
  ],
  [
    'Money in and out by month',
    'bar',
    `
select month, sum(income_base) as income, sum(expense_base) as expense
  from flowlu_reports.cash_flow_by_month where month is not null group by month order by month`,
  ],
  ['Overdue invoices', 'table', 'select * from flowlu_reports.overdue_invoices order by days_overdue desc'],
  ['How fresh the tables are', 'table', 'select * from flowlu_live.sync_status order by lag_seconds desc nulls last'],
] as const;

/** Text of a module for Node.js; it changes only what is not yet so, and can run again. */
export function metabase(relations: readonly Relation[]): string {
  const tables = relations.map(({ schema, name, key, columns, links }) => {
    const fields = columns.flatMap((column) => {
      const link = links.find((one) => one.column === column.name);
      const target = link && [link.target.schema, link.target.name];
      const kind = key.includes(column.name) ? 'type/PK' : link ? 'type/FK' : KINDS[column.name];
      return kind === undefined
        ? []
        : [[column.name, kind, ...(target === undefined || kind === 'type/PK' ? [] : target)]];
    });
    return [schema, name, fields];
  });
  const lines = tables.map((table) => `  ${JSON.stringify(table)},`).join('\n');
  return `${HEAD}\nconst TABLES = [\n${lines}\n];\n\nconst CARDS = ${JSON.stringify(CARDS, null, 2)};\n${REST}`;
}

const HEAD = `// Tells Metabase the keys and links of flowlu-mirror's views, hides its other tables, and makes a first dashboard.
//
//   METABASE_URL=https://metabase.example.com METABASE_API_KEY=... node metabase.mjs "Name of the database in Metabase"
`;

const REST = `
const { METABASE_URL, METABASE_API_KEY } = process.env;
const [wanted] = process.argv.slice(2);

function stop(why) {
  console.error(why);
  process.exit(1);
}
if (!METABASE_URL || !METABASE_API_KEY || !wanted)
  stop('Set METABASE_URL and METABASE_API_KEY (Admin settings, Authentication, API keys), and name the database as Metabase does');

async function api(method, path, body) {
  const response = await fetch(new URL(path, METABASE_URL), {
    method,
    headers: { 'x-api-key': METABASE_API_KEY, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  }).catch((error) => stop(\`Metabase cannot be reached: \${error.cause?.message ?? error.message}\`));
  if (!response.ok) stop(\`\${method} \${path}: Metabase answers \${response.status}; the key needs the group Administrators\`);
  return response.json();
}

const { data: databases } = await api('GET', '/api/database');
const database = databases.find(({ name }) => name === wanted);
if (!database) stop(\`Metabase has no database \${wanted}, only: \${databases.map(({ name }) => name).join(', ')}\`);

const { tables } = await api('GET', \`/api/database/\${database.id}/metadata?include_hidden=true\`);
const tableOf = (schema, name) => tables.find((table) => table.schema === schema && table.name === name);
const fieldOf = (table, name) => table?.fields.find((field) => field.name === name);

let changed = 0;
async function change(kind, known, wish) {
  if (Object.entries(wish).every(([name, value]) => known[name] === value)) return;
  await api('PUT', \`/api/\${kind}/\${known.id}\`, wish);
  changed += 1;
}

const missing = [];
for (const [schema, name, fields] of TABLES) {
  const table = tableOf(schema, name);
  if (!table) missing.push(\`\${schema}.\${name}\`);
  else
    for (const [column, semantic_type, ...target] of fields) {
      const field = fieldOf(table, column);
      const id = target.length > 0 ? fieldOf(tableOf(...target), 'id')?.id : null;
      if (field && id !== undefined) await change('field', field, { semantic_type, ...(id !== null && { fk_target_field_id: id }) });
    }
}
for (const table of tables)
  if (['flowlu', 'sync'].includes(table.schema)) await change('table', table, { visibility_type: 'hidden' });

const TITLE = 'Flowlu at a glance';
const found = await api('GET', \`/api/search?models=dashboard&q=\${encodeURIComponent(TITLE)}\`);
if (!found.data.some(({ name }) => name === TITLE)) {
  const dashboard = await api('POST', '/api/dashboard', { name: TITLE });
  const dashcards = [];
  for (const [name, display, query] of CARDS) {
    const dataset_query = { type: 'native', database: database.id, native: { query } };
    const card = await api('POST', '/api/card', { name, display, dataset_query, visualization_settings: {} });
    const place = dashcards.length;
    dashcards.push({ id: -1 - place, card_id: card.id, row: 6 * Math.floor(place / 2), col: 12 * (place % 2), size_x: 12, size_y: 6 });
  }
  await api('PUT', \`/api/dashboard/\${dashboard.id}\`, { dashcards });
  changed += 1;
}
console.log(\`\${changed} changes\`);
if (missing.length > 0) console.log(\`Metabase does not know these yet; sync the database there and run this again: \${missing.join(', ')}\`);
`;
