/**
 * The page for analysts, asked of the very data that it speaks of: `npm run demo -- --still`.
 * Where an answer has changed for a reason, `npx vitest run test/analysts.test.ts -u` writes it anew.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../src/migrate/migrate.ts';
import { refreshViews } from '../src/migrate/refresh.ts';
import { models } from './simulator/catalog.ts';
import { type Mirror, startMirror } from './support/mirror.ts';
import { printTable } from './support/psql.ts';

const PAGE = new URL('../docs/analysts.md', import.meta.url);
/** A query and, right below it, what it answers. */
const WORKED = /^```sql\n((?:(?!```)[^\n]*\n)+)```\n\n```text\n(.*?)^```$/gms;
const NUMBERS = ['int4', 'int8', 'numeric', 'float8'];
const ZONE = 'Europe/Berlin';

let mirror: Mirror;
beforeAll(async () => {
  // As `demo --still` makes it.
  mirror = await startMirror({ seed: 1, rows: 20_000, rowsPerModel: { 'system.comments': 0 }, timeZone: ZONE });
  await migrate(mirror.sql, { zone: ZONE });
  await mirror.fill(
    ...models.map(({ module, model }) => `${module}.${model}`).filter((name) => name !== 'system.comments'),
  );
  await refreshViews(mirror.sql, { zone: ZONE });
}, 180_000);
afterAll(() => mirror?.close());

/** What psql would print, as the reader role sees it. */
async function answer(query: string): Promise<string> {
  const body = query.trim().replace(/;$/, '');
  return mirror.sql.begin(async (tx) => {
    await tx.unsafe("set local role flowlu_reader; set local timezone = 'UTC'");
    const described = await tx.unsafe(body).describe();
    const types = await tx.unsafe<{ name: string; oid: string }[]>(
      `select typname as name, oid::text as oid from pg_type where oid = any($1::text::oid[])`,
      [`{${described.columns.map(({ type }) => type).join(',')}}`],
    );
    const typeOf = new Map(types.map(({ name, oid }) => [oid, name]));
    const texts = described.columns.map(({ name }) => `"${name}"::text`).join(', ');
    const rows = await tx.unsafe(`select to_json(array[${texts}]) as row from (${body}) as answer`);
    return printTable({
      columns: described.columns.map(({ name, type }) => ({
        name,
        isNumber: NUMBERS.includes(typeOf.get(String(type)) ?? ''),
      })),
      rows: rows.map((found) => found.row as readonly (string | null)[]),
    });
  });
}

it('the page for analysts shows at least twenty queries with the answers that they really give', async () => {
  const page = readFileSync(PAGE, 'utf8');
  const answers: string[] = [];
  for (const [, query = ''] of page.matchAll(WORKED)) {
    // How fresh the mirror is, is another matter each time; the counts are not.
    answers.push(`${await answer(query.replace(', lag_seconds', ', 46 as lag_seconds'))}\n`);
  }
  expect(answers.length).toBeGreaterThanOrEqual(20);
  const now = page.replace(
    WORKED,
    (_, query: string) => `\`\`\`sql\n${query}\`\`\`\n\n\`\`\`text\n${answers.shift()}\`\`\``,
  );
  await expect(now).toMatchFileSnapshot(PAGE.pathname);
}, 120_000);
