/** The clients that analysts use, each reading the mirror as a reader login. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { models } from '../../src/catalog/index.ts';
import { dbtSources } from '../../src/describe/dbt.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { readDictionary } from '../../src/views/dictionary.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { openReader, type Reader } from '../support/reader.ts';
import { output } from './programs.ts';

type Row = readonly (string | null)[];

/** What a program of ours prints. */
interface Answer {
  readonly schemas: readonly string[];
  readonly views: readonly string[];
  readonly columns: readonly (readonly [name: string, type: string, comment: string | null])[];
  readonly queries: readonly (readonly Row[])[];
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const page = readFileSync(new URL('../../docs/analysts.md', import.meta.url), 'utf8');
/** Every query of the page for analysts, but those whose answer changes with the clock. */
const queries = [...page.matchAll(/^```sql\n((?:select|with)\b.*?);?\s*^```$/gms)]
  .map((match) => match[1] ?? '')
  .filter((query) => !/lag_seconds|now\(\)/.test(query));

let mirror: Mirror;
let reader: Reader;
/** What the product's own driver reads. */
let expected: readonly (readonly Row[])[];
let parts: { readonly host: string; readonly port: string; readonly database: string };
let views: readonly string[];
/** Views with any row. */
let filled: number;

beforeAll(async () => {
  mirror = await startMirror({ rows: 4_000, timeZone: 'Europe/Berlin' });
  await mirror.fill(...models.filter(({ listable }) => listable).map(({ name }) => name));
  // Custom fields are columns from now on, as after a backfill from the command line.
  await migrate(mirror.sql, { zone: 'Europe/Berlin' });
  reader = await openReader(mirror.database);
  const { hostname: host, port, pathname } = new URL(reader.url);
  parts = { host, port, database: pathname.slice(1) };
  const answers: (readonly Row[])[] = [];
  for (const query of queries) {
    const rows = await reader.sql.unsafe(query).values();
    answers.push(rows.map((row) => row.map(cell)));
  }
  expected = answers;
  const found = await reader.sql<{ name: string }[]>`
    select schemaname || '.' || viewname as name from pg_views
     where schemaname in ('flowlu_live', 'flowlu_reports', 'flowlu_history') order by 1`;
  views = found.map(({ name }) => name);
  filled = 0;
  for (const look of looks()) if ((await reader.sql.unsafe(look)).length > 0) filled += 1;
});
afterAll(async () => {
  await reader?.close();
  await mirror?.close();
});

function cell(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return value instanceof Date ? value.toISOString() : String(value);
}

/** Text as PostgreSQL and ODBC write it, in the form of `cell`: yes and no, and moments, take another shape there. */
function retold(text: string, like: string | null | undefined, nothing: string): string | null {
  if (text === nothing) return null;
  if (like === 'true' || like === 'false') return { t: 'true', f: 'false', '1': 'true', '0': 'false' }[text] ?? text;
  if (/^\d{4}-\d\d-\d\dT.*Z$/.test(like ?? '')) {
    return new Date(/[+-]\d\d(:\d\d)?$/.test(text) ? text.replace(/([+-]\d\d)$/, '$1:00') : `${text}Z`).toISOString();
  }
  return text;
}

/** Reads every type of column that there is. */
const looks = () => views.map((name) => `select * from ${name} limit 2`);

function expectAnswer(answer: Answer, types: Readonly<Record<string, string>>): void {
  expect(answer.schemas).toEqual(expect.arrayContaining(['flowlu', 'flowlu_live']));
  expect(answer.views.toSorted()).toEqual(views.toSorted());
  const columns = new Map(answer.columns.map(([name, type]) => [name, type]));
  expect(Object.fromEntries(Object.keys(types).map((name) => [name, columns.get(name)]))).toEqual(types);
  expect(answer.queries.slice(0, queries.length)).toEqual(expected);
  expect(answer.queries.slice(queries.length).filter((rows) => rows.length > 0)).toHaveLength(filled);
}

/** Splits lines of cells that a character divides which no value holds. */
const rowsOf = (text: string, divider: string): readonly Row[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(divider));

it('there are queries to ask, and most have an answer', () => {
  expect(queries.length).toBeGreaterThan(6);
  expect(expected.filter((rows) => rows.length > 0).length).toBeGreaterThan(queries.length / 2);
});

describe('psql', () => {
  const psql = (...commands: readonly string[]) =>
    output('psql', [
      reader.url,
      '--no-psqlrc',
      '-v',
      'ON_ERROR_STOP=1',
      '--tuples-only',
      '--no-align',
      '--field-separator=\u0001',
      '--pset=null=\u0002',
      ...commands.flatMap((command) => ['-c', command]),
    ]);

  it('lists the schemas, views and columns with their comments', async () => {
    expect(rowsOf(await psql('\\dn'), '\u0001').map(([name]) => name)).toEqual(
      expect.arrayContaining(['flowlu', 'flowlu_live']),
    );
    const listed = rowsOf(await psql('\\dv flowlu_*.*'), '\u0001');
    expect(listed.map(([schema, name]) => `${schema}.${name}`)).toEqual(views);
    const described = rowsOf(await psql('\\d+ crm_lead'), '\u0001').find(([name]) => name === 'customer_id');
    expect(described?.[1]).toBe('bigint');
    expect(described?.join(' ')).toContain('flowlu_live.crm_account.id');
  });

  it('runs every query of the page for analysts', async () => {
    for (const [index, query] of queries.entries()) {
      const rows = rowsOf(await psql(query), '\u0001');
      const like = expected[index] ?? [];
      expect(
        rows.map((row, at) => row.map((text, column) => retold(text ?? '', like[at]?.[column], '\u0002'))),
        query,
      ).toEqual(like);
    }
  });

  it('is stopped by the time-out of the login', async () => {
    expect((await psql('show statement_timeout')).trim()).toBe('1min');
  });
});

describe('JDBC, as Metabase and DBeaver use it', () => {
  it('lists schemas, views and columns, and runs every query of the page for analysts', async () => {
    const { host, port, database } = parts;
    const answer = await output('java', [
      '-Dfile.encoding=UTF-8',
      '-Dstdout.encoding=UTF-8',
      '-cp',
      '/usr/share/java/postgresql.jar',
      here('Reader.java'),
      `jdbc:postgresql://${host}:${port}/${database}`,
      reader.login,
      reader.password,
      'crm_lead',
      ...queries,
      ...looks(),
    ]);
    const told = JSON.parse(answer) as Answer;
    expectAnswer(told, {
      id: 'int8',
      name: 'text',
      budget: 'numeric',
      active: 'int4',
      closing_date: 'date',
      created_date: 'timestamptz',
    });
    expect(told.columns.find(([name]) => name === 'customer_id')?.[2]).toContain('flowlu_live.crm_account.id');
  });
});

describe('Python with SQLAlchemy and pandas', () => {
  it('reflects schemas, views and columns, and runs every query of the page for analysts', async () => {
    const answer = await output('/usr/bin/python3', [
      here('reader.py'),
      reader.url.replace('postgres://', 'postgresql+psycopg2://'),
      'crm_lead',
      ...queries,
      ...looks(),
    ]);
    const told = JSON.parse(answer) as Answer;
    expectAnswer(told, {
      id: 'BIGINT',
      name: 'TEXT',
      budget: 'NUMERIC',
      active: 'INTEGER',
      closing_date: 'DATE',
      created_date: 'TIMESTAMP',
    });
    expect(told.columns.find(([name]) => name === 'customer_id')?.[2]).toContain('flowlu_live.crm_account.id');
  });

  it('reads the sources for dbt with the YAML reader that dbt uses', async () => {
    const text = dbtSources(await readDictionary(mirror.sql));
    const read = await output(
      '/usr/bin/python3',
      ['-c', 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))'],
      { input: text },
    );
    expect(JSON.parse(read)).toEqual(parse(text));
  });
});

describe('ODBC, as Tableau, Power BI and Excel use it', () => {
  const isql = (input: string) => {
    const { host, port, database } = parts;
    const connection = `DRIVER={PostgreSQL Unicode};SERVER=${host};PORT=${port};DATABASE=${database};UID=${reader.login};PWD=${reader.password};BoolsAsChar=0`;
    return output('isql', ['-k', connection, '-b', '-d\u0001', '-m4000'], { input });
  };

  it('lists the views with their columns and types', async () => {
    const listed = rowsOf(await isql('help\n'), '\u0001').filter(([, schema]) => schema?.startsWith('flowlu_'));
    // Tables too: the one that an operator writes into.
    const names = listed.map(([, schema, name]) => `${schema}.${name}`);
    expect(names.toSorted()).toEqual([...views, 'flowlu_reports.code_labels'].toSorted());
    // Without a schema the driver looks in the first one of the path.
    const columns = rowsOf(await isql('help deals\n'), '\u0001').filter(([, schema]) => schema === 'flowlu_reports');
    expect(Object.fromEntries(columns.map(([, , , name, , type]) => [name, type]))).toMatchObject({
      deal_id: 'int8',
      deal_name: 'text',
      budget: 'numeric',
      days_open: 'int4',
      closing_date: 'date',
      created_at: 'timestamptz',
    });
  });

  it('runs every query of the page for analysts', async () => {
    for (const [index, query] of queries.entries()) {
      const rows = rowsOf(await isql(`${query.replace(/\s+/g, ' ')}\n`), '\u0001');
      const like = expected[index] ?? [];
      expect(
        rows.map((row, at) => row.map((text, column) => retold(text ?? '', like[at]?.[column], ''))),
        query,
      ).toEqual(like);
    }
  });
});
