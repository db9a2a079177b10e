/** What must be true of the mirror after a history; each check answers with one line for every breach. */
import { findModel } from '../../src/catalog/index.ts';
import { type JsonObject, parseJson } from '../../src/core/json.ts';
import type { Sql } from '../../src/postgres/connection.ts';
import type { Being } from './source.ts';
import { type Aspect, aspectsOf, differences, SPECIES, type Species } from './species.ts';
import { type World, wallOf } from './world.ts';

interface MirrorRow {
  readonly record: JsonObject;
  readonly columns: JsonObject;
  readonly deleted: boolean;
}

const relationOf = ({ name, catalogued }: Pick<Species, 'name' | 'catalogued'>) =>
  catalogued ? `flowlu.${name.replace('.', '_')}` : 'flowlu.uncatalogued';

async function rowsOf(sql: Sql, species: Species): Promise<ReadonlyMap<number, MirrorRow>> {
  const part = species.catalogued ? '' : `where module || '.' || model = '${species.name}'`;
  const rows = await sql.unsafe(
    `select id::text as id, _record::text as record, _deleted_at is not null as deleted,
            (to_jsonb(t) - '_record')::text as columns
       from ${relationOf(species)} t ${part}`,
  );
  return new Map(
    rows.map((row): [number, MirrorRow] => [
      Number(row.id),
      {
        record: parseJson(row.record) as JsonObject,
        columns: parseJson(row.columns) as JsonObject,
        deleted: row.deleted,
      },
    ]),
  );
}

/** How closely a being's row is looked at; null leaves it out. */
export type Expectation = (
  being: Being,
) => { readonly told: readonly Aspect[] | null; readonly mayLack: boolean } | null;

/** Rows that do not tell what the source does. */
export async function untrueRows(world: World, expectation: Expectation): Promise<string[]> {
  const found: string[] = [];
  for (const species of SPECIES) {
    const rows = await rowsOf(world.replicas[0].sql, species);
    for (const being of world.source.beings.get(species.name) ?? []) {
      const expected = expectation(being);
      const row = rows.get(being.id);
      if (expected === null || (row === undefined && (expected.mayLack || !being.alive))) continue;
      found.push(...untruths(being, row, expected.told).map((text) => `${species.name} ${being.id}: ${text}`));
    }
    const known = new Set(world.source.beings.get(species.name)?.map(({ id }) => id));
    for (const id of rows.keys()) if (!known.has(id)) found.push(`${species.name} ${id} is in the mirror only`);
  }
  return found;
}

function untruths(being: Being, row: MirrorRow | undefined, told: readonly Aspect[] | null): string[] {
  if (row === undefined) return ['is not in the mirror'];
  if (row.deleted === being.alive) return [being.alive ? 'is marked as deleted' : 'is still live'];
  return being.alive ? differences(being.species, being.id, being.state, row, wallOf, told) : [];
}

/** Aspects that a being's webhooks tell, whatever else they leave out. */
export function toldAspects(species: Species, omits: readonly Aspect[]): readonly Aspect[] {
  const all: Aspect[] = [...aspectsOf(species).map(([aspect]) => aspect), 'changed'];
  return all.filter((aspect) => !omits.includes(aspect));
}

/** Deliveries that were acknowledged but are not in the ledger as they came, applied or set aside with a reason. */
export async function lostDeliveries({ acknowledged, replicas }: World): Promise<string[]> {
  const rows = await replicas[0].sql`select id::text as id, body, status, decision, reason from sync.deliveries`;
  const byId = new Map(rows.map((row) => [row.id as string, row]));
  return [...acknowledged].flatMap(([id, body]) => {
    const row = byId.get(id);
    if (row === undefined) return [`delivery ${id} is not in the ledger`];
    if (row.body !== body) return [`delivery ${id} is not what was sent`];
    const done = row.status === 'applied' ? row.decision !== null : row.status === 'failed' && row.reason !== null;
    return done ? [] : [`delivery ${id} is ${row.status}, decision ${row.decision}`];
  });
}

/** Watches every change of the mirror's rows from within the database. */
export async function installWatch(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create table virtual_time.steps (
      step bigint generated always as identity, at timestamptz, model text, id bigint, before timestamptz,
      after timestamptz, buried boolean);
    create function virtual_time.watch() returns trigger language plpgsql as $$
      declare
        name text := tg_argv[0];
      begin
        if name is null then name := new.module || '.' || new.model; end if;
        insert into virtual_time.steps (at, model, id, before, after, buried)
        values (pg_catalog.clock_timestamp(), name, new.id, old._version, new._version,
                new._deleted_at is not null and (tg_op = 'INSERT' or old._deleted_at is null));
        return null;
      end $$;`);
  const relations = new Map(SPECIES.map((species) => [relationOf(species), species]));
  for (const [relation, { name, catalogued }] of relations) {
    await sql.unsafe(`create trigger watch after insert or update on ${relation}
      for each row execute function virtual_time.watch(${catalogued ? `'${name}'` : ''})`);
  }
}

/** Steps of rows to an older version, and burials of what the source has. */
export async function wrongSteps({ source, zone, replicas }: World): Promise<string[]> {
  const rows = await replicas[0].sql`
    select model, id::text as id, buried, extract(epoch from at)::float8 as at,
           (extract(epoch from before) * 1000000)::bigint::text as before,
           (extract(epoch from after) * 1000000)::bigint::text as after
      from virtual_time.steps order by step`;
  return rows.flatMap((row) => {
    const what = `${row.model} ${row.id}`;
    const found: string[] = [];
    const [before, after] = [row.before, row.after].map((at) => (at === null ? null : zone.orderOf(Number(at))));
    if (before != null && after != null && after < before) found.push(`${what} went back to an older version`);
    const being = source.beings.get(row.model)?.find(({ id }) => String(id) === row.id);
    const gone = being?.deletedAtSeconds ?? null;
    if (row.buried && (gone === null || gone > row.at)) found.push(`${what} was buried alive`);
    return found;
  });
}

/**
 * Where every mirror row is stored and who wrote or locked it last: differs after any write, even of equal content.
 * Rows that lists leave out are asked for one by one, which locks them; of these only writes count.
 */
export async function fingerprints({ source, replicas }: World): Promise<string> {
  const unlisted = new Set(
    [...source.beings.values()].flat().flatMap(({ species, id, merged }) => (merged ? [`${species.name} ${id}`] : [])),
  );
  const parts = [
    ...SPECIES.filter(({ catalogued }) => catalogued),
    { name: 'customfields.fields', catalogued: true },
  ].map(
    (species) =>
      `select '${species.name} ' || id as row, ctid::text, xmin::text, xmax::text from ${relationOf(species)}`,
  );
  const rows = await replicas[0].sql.unsafe(`${parts.join(' union all ')} order by 1`);
  return rows
    .map(({ row, ctid, xmin, xmax }) => `${row}: at ${ctid} by ${xmin}, locked ${unlisted.has(row) ? '' : xmax}`)
    .join('\n');
}

/** Empties mirror and ledger. */
export async function clear(sql: Sql): Promise<void> {
  const relations = [...new Set([...SPECIES.map(relationOf), 'flowlu.customfields_fields'])];
  const ledger = ['deliveries', 'doubtful', 'listings', 'suspects', 'watermarks', 'runs', 'leases'];
  await sql.unsafe(
    `truncate ${[...relations, ...ledger.map((name) => `sync.${name}`), 'virtual_time.steps'].join(', ')}`,
  );
}

/** Whether the catalogue has the species' model, as the species says. */
export function knowsItsModels(): boolean {
  return SPECIES.every(({ name, catalogued }) => (findModel(name) !== undefined) === catalogued);
}
