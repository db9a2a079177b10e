/**
 * Makes one migration of all: `npm run db:squash`, for as long as nothing is released. `drizzle/0000_mirror.sql` then holds
 * the whole schema; `drizzle/takeover.sql` gains what databases lack that have had only some of the migrations so far.
 * Run it after a merge that brought a migration, with the schema in src/tables as it is to be.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const FOLDER = new URL('../drizzle/', import.meta.url);
const TAKEOVER = 'takeover.sql';
const HEAD = `-- Brings a database of an unreleased version to the first migration. Every statement may find its work done already.
-- Written by \`npm run db:squash\` from the migrations that databases may have had:
`;

const read = (name: string) => readFileSync(new URL(name, FOLDER), 'utf8');
const { entries } = JSON.parse(read('meta/_journal.json')) as {
  entries: readonly { readonly when: number; readonly tag: string }[];
};

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
const had = entries.map(({ when, tag }) => `--   ${when} ${tag}\n`).filter((line) => !head.includes(line));
// The first is what all the others start from.
const statements = entries
  .slice(1)
  .flatMap(({ tag }) => read(`${tag}.sql`).split('--> statement-breakpoint'))
  .map((statement) => statement.trim().replace(/;$/, ''))
  .filter((statement) => statement !== '')
  .map((statement) => `${repeatable(statement)};\n`);
writeFileSync(new URL(TAKEOVER, FOLDER), head + had.join('') + body + statements.join(''));

for (const name of readdirSync(FOLDER)) if (name !== TAKEOVER) rmSync(new URL(name, FOLDER), { recursive: true });
execFileSync('npx', ['drizzle-kit', 'generate', '--name', 'mirror'], { stdio: 'inherit' });
const snapshot = 'meta/0000_snapshot.json';
writeFileSync(new URL(snapshot, FOLDER), `${JSON.stringify(JSON.parse(read(snapshot)))}\n`);
