/** The page that shows how the tables hang together: a diagram and a list per module. Pure. */
import { findModel, models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';

export const DATA_MODEL_PAGE = 'data-model.md';

const INTRODUCTION = `# Data model

Which table points at which, one diagram per module. This page is made from the catalogue by \`npx flowlu-mirror models --docs docs\`;
do not edit it. What each column means is in the view \`flowlu_live.data_dictionary\` and in the comments of the database.

A line reads: at most one record of the table on the side of the circle and bar, any number on the side of the fork; its label names the columns
that hold the link. Every table stands in \`flowlu_live\` (live records) and in \`flowlu\` (deleted ones too), and every link leads to
the column \`id\`. Nothing enforces them: a link may lead to a record that is gone.

Left out of the diagrams, because nearly every table has them: who created and who changed a record (\`created_by\`, \`updated_by\` → \`core_user\`).
A record that can belong to a record of any model names it by the three columns \`module\`, \`model\` and \`model_id\`; those tables are marked *any*.
`;

interface Link {
  readonly field: string;
  readonly target: string;
}

/** Who made and changed a record: a line from every table to one would hide the others. */
const AUDIT = new Set(['created_by', 'updated_by']);

export function dataModelPage(): string {
  const modules = [...new Set(models.map(({ module }) => module))];
  const sections = modules.map((module) =>
    sectionOf(
      module,
      models.filter((model) => model.module === module),
    ),
  );
  return [INTRODUCTION, ...sections].join('\n');
}

function sectionOf(module: string, members: readonly Model[]): string {
  const lines = members.flatMap(diagramLines);
  const diagram = lines.length === 0 ? [] : ['```mermaid', 'erDiagram', ...lines, '```', ''];
  const rows = members.map((model) => `| \`${model.table}\` | ${model.title} | ${linkText(model)} |`);
  return [`## ${module}`, '', ...diagram, '| table | holds | links |', '|---|---|---|', ...rows, ''].join('\n');
}

/** One line for each pair of tables, with all the columns that connect them. */
function diagramLines(model: Model): readonly string[] {
  const byTarget = new Map<string, string[]>();
  for (const { field, target } of linksOf(model)) {
    byTarget.set(target, [...(byTarget.get(target) ?? []), field]);
  }
  return [...byTarget].map(([target, fields]) => `  ${target} |o--o{ ${model.table} : "${fields.join(', ')}"`);
}

function linkText(model: Model): string {
  const links = linksOf(model).map(({ field, target }) => `\`${field}\` → \`${target}\``);
  const isPolymorphic = ['module', 'model', 'model_id'].every((field) => field in model.fields);
  return [...links, ...(isPolymorphic ? ['`model_id` → *any*'] : [])].join(', ');
}

function linksOf(model: Model): readonly Link[] {
  return Object.entries(model.fields).flatMap(([field, { references }]) => {
    const target = findModel(references ?? '');
    return target === undefined || AUDIT.has(field) ? [] : [{ field, target: target.table }];
  });
}
