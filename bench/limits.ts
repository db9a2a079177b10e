/** What PostgreSQL itself can do with the same rows: single upserts, COPY, and COPY with a merge behind it. */
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import type { Queryable, Sql } from '../src/postgres/connection.ts';
import { sqlTypes } from '../src/tables/facts.ts';
import { BODY_BYTES } from './events.ts';
import { ROW_BYTES } from './portal.ts';
import { flowluTime, type RecordMaker, recordMaker, versionSeconds, WEBHOOK_MODEL } from './rows.ts';

const { fields, table: mirrorTable, version } = WEBHOOK_MODEL;
const columns = Object.keys(fields);
const list = columns.join(', ');
const assignments = columns.map((column) => `${column} = excluded.${column}`).join(', ');

/** Makes the tables: the typed columns alone, and the mirror's own with all that it keeps beside them. */
export async function createLimitTables(sql: Sql): Promise<void> {
  const typed = Object.entries(fields).map(([name, { kind }]) => `${name} ${sqlTypes[kind]}`);
  await sql.unsafe(`
    create schema bench;
    create table bench.single (${typed.join(', ')}, primary key (id));
    create table bench.typed (like bench.single including all);
    create table bench.whole (like flowlu.${mirrorTable} including all) with (toast_tuple_target = 4080)`);
}

/** How rows are chosen: a new one each time, or so many in turn. */
export interface SingleJob {
  readonly clients: number;
  readonly hotIds: number | null;
  readonly seconds: number;
}

const single = recordMaker(WEBHOOK_MODEL, BODY_BYTES - 400);
let nextId = 1;
let turn = 0;

/** Guarded upserts of one row, each its own commit; how many a second. No HTTP, no JSON, nothing kept beside the row. */
export async function singleUpserts(sql: Sql, job: SingleJob): Promise<number> {
  const parameters = Object.values(fields).map(({ kind }, index) => `$${index + 1}::text::${sqlTypes[kind]}`);
  const statement =
    `insert into bench.single as t (${list}) values (${parameters.join(', ')}) on conflict (id) ` +
    `do update set ${assignments} where t.${version} < excluded.${version}`;
  const endsAt = performance.now() + job.seconds * 1_000;
  let commits = 0;
  const client = async () => {
    while (performance.now() < endsAt) {
      turn += 1;
      const isHot = job.hotIds !== null;
      const id = job.hotIds === null ? 1_000_000 + nextId++ : 1 + (turn % job.hotIds);
      await sql.unsafe(statement, [...single.values(id, isHot ? turn : 0)], { prepare: true });
      commits += 1;
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: job.clients }, client));
  return commits / ((performance.now() - startedAt) / 1_000);
}

/** Rows in the form that COPY reads, made before the clock starts. */
export interface CopyRows {
  readonly count: number;
  readonly chunks: readonly Buffer[];
}

const CHUNK_BYTES = 65_536;
const bulk = recordMaker(WEBHOOK_MODEL, ROW_BYTES);

/** The typed columns of rows 1 to `count`. */
export function typedRows(count: number, change: number): CopyRows {
  return copyRows(count, (id) => bulk.values(id, change));
}

/** Everything that the mirror keeps of rows 1 to `count`. */
export function wholeRows(count: number, change: number): CopyRows {
  const time = flowluTime(versionSeconds(change));
  const hash = (id: number) => `${String(change).padStart(8, '0')}-0000-4000-8000-${String(id).padStart(12, '0')}`;
  return copyRows(count, (id) => [...bulk.values(id, change), ...metaOf(bulk, id, change, time, hash(id))]);
}

function metaOf(maker: RecordMaker, id: number, change: number, time: string, hash: string) {
  return [maker.json(id, change), time, time, 'api', null, hash];
}

const META = ['_record', '_version', '_observed_at', '_source', '_deleted_at', '_hash'];

function copyRows(count: number, valuesOf: (id: number) => readonly (string | null)[]): CopyRows {
  const chunks: Buffer[] = [];
  let lines: string[] = [];
  let bytes = 0;
  for (let id = 1; id <= count; id += 1) {
    const line = `${valuesOf(id).map(copyValue).join('\t')}\n`;
    lines.push(line);
    bytes += line.length;
    if (bytes < CHUNK_BYTES && id < count) continue;
    chunks.push(Buffer.from(lines.join('')));
    lines = [];
    bytes = 0;
  }
  return { count, chunks };
}

const copyValue = (value: string | null) => (value === null ? '\\N' : value.replace(/[\\\t\n]/g, '\\$&'));

/** COPY into the empty table with its primary key; rows a second. */
export async function copyInto(sql: Sql, rows: CopyRows): Promise<number> {
  await sql.unsafe('truncate bench.typed');
  return await rowsPerSecond(rows, () => sql.begin((tx) => copy(tx, `bench.typed (${list})`, rows)));
}

/** COPY to a temporary table and one guarded upsert from there; rows a second. */
export async function copyAndMerge(sql: Sql, table: 'typed' | 'whole', rows: CopyRows): Promise<number> {
  const all = table === 'typed' ? columns : [...columns, ...META];
  const set = all.map((column) => `${column} = excluded.${column}`).join(', ');
  return await rowsPerSecond(rows, () =>
    sql.begin(async (tx) => {
      await tx.unsafe(
        `create temporary table incoming on commit drop as select ${all} from bench.${table} with no data`,
      );
      await copy(tx, `incoming (${all})`, rows);
      await tx.unsafe(
        `insert into bench.${table} as t (${all}) select ${all} from incoming on conflict (id) ` +
          `do update set ${set} where t.${version} < excluded.${version}`,
      );
    }),
  );
}

async function copy(tx: Queryable, target: string, { chunks }: CopyRows): Promise<void> {
  const stream = await tx.unsafe(`copy ${target} from stdin`).writable();
  for (const chunk of chunks) if (!stream.write(chunk)) await once(stream, 'drain');
  stream.end();
  await finished(stream);
}

async function rowsPerSecond({ count }: CopyRows, work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return count / ((performance.now() - startedAt) / 1_000);
}
