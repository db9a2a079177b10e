import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { findModel, models } from '../../src/catalog/index.ts';
import { dataModelPage } from '../../src/describe/data-model.ts';

const page = dataModelPage();

it('is committed as the catalogue has it now: npx flowlu-mirror models --docs docs', () => {
  expect(readFileSync(new URL('../../docs/data-model.md', import.meta.url), 'utf8')).toBe(page);
});

it('lists every table, and every link but those of the audit, in diagram and list', () => {
  const diagrams = [...page.matchAll(/```mermaid\nerDiagram\n(.*?)```/gs)].map((match) => match[1] ?? '');
  const drawn = diagrams.flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .flatMap((line) => {
        // The grammar of a line: two plain words, the two ends of the relation, and a label in quotes.
        const [, target, source, label] = /^ {2}(\w+) \|o--o\{ (\w+) : "([\w, ]+)"$/.exec(line) ?? [];
        expect(label, line).toBeDefined();
        return (label ?? '').split(', ').map((field) => `${source}.${field} → ${target}`);
      }),
  );
  const links = models.flatMap((model) =>
    Object.entries(model.fields)
      .filter(([field, { references }]) => references !== undefined && !['created_by', 'updated_by'].includes(field))
      .map(([field, { references = '' }]) => `${model.table}.${field} → ${findModel(references)?.table}`),
  );
  expect(links.length).toBeGreaterThan(200);
  expect(drawn.toSorted()).toEqual(links.toSorted());
  for (const { table, title } of models) expect(page).toContain(`\n| \`${table}\` | ${title} |`);
  for (const link of links) {
    const [table, field, target] = link.split(/\.| → /);
    const row = page.split('\n').find((line) => line.startsWith(`| \`${table}\` |`));
    expect(row).toContain(`\`${field}\` → \`${target}\``);
  }
});
