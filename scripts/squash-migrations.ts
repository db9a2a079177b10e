/**
 * Makes one migration of all: `npm run db:squash`, for as long as nothing is released. `drizzle/0000_mirror.sql` then holds
 * the whole schema; `drizzle/takeover.sql` gains what databases lack that have had only some of the migrations so far.
 * Run it after a merge that brought a migration, with the schema in src/tables as it is to be; conflicts in drizzle/meta need
 * not be resolved before.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const FOLDER = new URL('../drizzle/', import.meta.url);
const TAKEOVER = 'takeover.sql';
const FIRST = '0000_mirror';
const HEAD = `-- Brings a database of an unreleased version to the first migration. Every statement may find its work done already.
-- Written by \`npm run db:squash\` from the migrations that databases may have had:
`;

const read = (name: string) => readFileSync(new URL(name, FOLDER), 'utf8');
/** A merge may have left both sides in it, with marks between them. */
const entries = [...read('meta/_journal.json').matchAll(/"when": (\d+),\s*"tag": "([^"]+)"/g)].map(
  ([, when = '', tag = '']) => ({ when, tag }),
);

/** The statement in a form that does no harm where its work is done. */
function repeatable(statement: string): string {
  const forms: readonly (readonly [RegExp, string])[] = [
    [/^(create (?:table|(?:unique )?index|schema|sequence)) (?=")/i, '$1 IF NOT EXISTS '],
    [/^(alter table \S+ add column) (?=")/i, '$1 IF NOT EXISTS '],
    [/^(alter table \S+ drop (?:column|constraint)) (?=")/i, '$1 IF EXISTS '],
    [/^(drop (?:table|index)) (?=")/i, '$1 IF EXISTS '],
    [/^(alter table \S+) add constraint ("[^"]+") /i, '$1 DROP CONSTRAINT IF EXISTS $2;\n$1 ADD CONSTRAINT $2 '],
    [/^alter table \S+ alter column \S+ (?:set|drop) (?:default|not null|data type)\b/i, '$&'],
    [/^(?=do |update |comment |create or replace |.* if (?:not )?exists )/i, ''],
  ];
  const form = forms.find(([pattern]) => pattern.test(statement));
  if (form === undefined)
    throw new Error(`write this into drizzle/${TAKEOVER} by hand, so that it can be repeated:\n${statement}`);
  return statement.replace(form[0], form[1]);
}

const before = existsSync(new URL(TAKEOVER, FOLDER)) ? read(TAKEOVER) : HEAD;
const [, head = '', body = ''] = /^((?:--.*\n)*)([\s\S]*)$/.exec(before) ?? [];
const added = entries.filter(({ when }) => !head.includes(` ${when} `));
const had = added.map(({ when, tag }) => `--   ${when} ${tag}\n`);
// The first is what all the others start from.
const statements = added
  .filter(({ tag }) => tag !== FIRST)
  .flatMap(({ tag }) => read(`${tag}.sql`).split('--> statement-breakpoint'))
  .map((statement) => statement.trim().replace(/;$/, ''))
  .filter((statement) => statement !== '')
  .map((statement) => `${repeatable(statement)};\n`);
writeFileSync(new URL(TAKEOVER, FOLDER), head + had.join('') + body + statements.join(''));

for (const name of readdirSync(FOLDER)) if (name !== TAKEOVER) rmSync(new URL(name, FOLDER), { recursive: true });
execFileSync('npx', ['drizzle-kit', 'generate', '--name', 'mirror'], { stdio: 'inherit' });
const snapshot = 'meta/0000_snapshot.json';
writeFileSync(new URL(snapshot, FOLDER), `${JSON.stringify(JSON.parse(read(snapshot)))}\n`);
