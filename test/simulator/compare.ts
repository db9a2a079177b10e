/** Source and mirror, row by row: the last word of tests and of the demonstration. */
import postgres, { type Sql } from 'postgres';
import { type Portal, type SimRecord, toJson } from './index.ts';

export interface Comparison {
  readonly rows: number;
  readonly live: number;
  readonly deleted: number;
  /** One line each. */
  readonly differences: readonly string[];
  /** Rows of which the portal does not tell whether they exist. */
  readonly undecided: readonly string[];
}

/** Compares every record of the portal with the live rows of the mirror, and finds rows that the portal lacks. */
export async function compareWithSource(url: string, portal: Portal, names: readonly string[]): Promise<Comparison> {
  const sql = postgres(url, { max: 1, connection: { application_name: 'comparison' } });
  const total = { rows: 0, live: 0, deleted: 0 };
  const differences: string[] = [];
  const undecided: string[] = [];
  try {
    for (const name of names) {
      const mirrored = await mirroredRows(sql, name);
      total.live += mirrored.live.size;
      total.deleted += mirrored.deleted;
      for (const record of portal.rows(name)) {
        total.rows += 1;
        const id = String(record.id);
        const row = mirrored.live.get(id);
        mirrored.live.delete(id);
        const fields = row === undefined ? [] : differingFields(record, row);
        if (row === undefined) differences.push(`${name} ${id} is not live in the mirror`);
        else if (fields.length > 0) differences.push(`${name} ${id} differs in ${fields.join(', ')}`);
      }
      for (const id of mirrored.live.keys()) {
        if (mirrored.refused.has(id)) undecided.push(`${name} ${id}`);
        else differences.push(`${name} ${id} is live in the mirror only`);
      }
    }
  } finally {
    await sql.end({ timeout: 5 });
  }
  return { ...total, differences, undecided };
}

/** The mirror's rows of one model; tests and the demonstration keep models small enough for that. */
async function mirroredRows(sql: Sql, name: string) {
  const rows = await sql.unsafe(
    `select id::text as id, _record::text as record, _deleted_at is null as live from flowlu.${name.replace('.', '_')}`,
  );
  const live = rows.filter((row) => row.live).map((row): [string, string] => [row.id, row.record]);
  const doubts = await sql`
    select entity_id::text as id from sync.doubtful where model = ${name} and refusal is not null`;
  return { live: new Map(live), deleted: rows.length - live.length, refused: new Set(doubts.map(({ id }) => id)) };
}

/** Nothing is spelt in two ways. */
const spelt = (value: unknown): string => JSON.stringify(value === null ? '' : value);

/** Fields of the source that the mirror's record tells otherwise; key case and custom fields' aliases aside. */
function differingFields(source: SimRecord, mirrored: string): string[] {
  const record = JSON.parse(mirrored) as Record<string, unknown>;
  const byLowerCase = new Map(Object.entries(record).map(([key, value]) => [key.toLowerCase(), value]));
  const expected = JSON.parse(toJson(source)) as Record<string, unknown>;
  return Object.entries(expected)
    .filter(([key]) => !key.startsWith('cf_') || byLowerCase.has(key))
    .filter(([key, value]) => spelt(byLowerCase.get(key.toLowerCase())) !== spelt(value))
    .map(
      ([key, value]) => `${key} (${JSON.stringify(byLowerCase.get(key.toLowerCase()))}, not ${JSON.stringify(value)})`,
    );
}
