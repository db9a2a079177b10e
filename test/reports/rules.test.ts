/** What every ready-made view must have, so that nobody has to look anything up: read from the views' own descriptions. */
import { expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import { reportViews } from '../../src/reports/all.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import type { View, ViewColumn } from '../../src/views/view.ts';

const VIEWS = reportViews(NO_FACTS);
const named = ({ columns }: View) => new Set(columns.map(({ name }) => name));
/** The columns of all views of which `breaks` is true, as `view.column`. */
const breaking = (breaks: (column: ViewColumn, view: View, names: ReadonlySet<string>) => boolean) =>
  VIEWS.flatMap((view) =>
    view.columns.filter((column) => breaks(column, view, named(view))).map((column) => `${view.name}.${column.name}`),
  );

it('the comment says what one row is and which columns tell rows apart', () => {
  const without = VIEWS.filter(
    ({ comment }) => !/One row for each [^;]+(?:;[^;]+)?; key: \w+(?:, \w+)*$/.test(comment),
  );
  expect(without.map(({ name }) => name)).toEqual([]);
  const missing = VIEWS.flatMap((view) => (view.key ?? []).filter((column) => !named(view).has(column)));
  expect(missing).toEqual([]);
});

it('every column has a comment, and a link leads to a model that exists', () => {
  expect(
    breaking(
      ({ comment, references }) =>
        comment.trim() === '' || (references !== null && findModel(references) === undefined),
    ),
  ).toEqual([]);
});

/** Records that have neither a name nor a number. */
const NAMELESS = ['contacts.relation_id', 'time_entries.time_log_id', 'payments.transaction_id'];

it('beside the name of a record stands its identifier, and beside an identifier a name', () => {
  const alone = breaking(({ name, references }, _, names) => {
    const stem = name.replace(/_(?:id|name)$/, '');
    if (name.endsWith('_name')) return !names.has(`${stem}_id`);
    return references !== null && !names.has(`${stem}_name`) && !names.has(`${stem}_number`);
  });
  expect(alone).toEqual(NAMELESS);
});

it('beside an amount stands its currency, or its comment says that Flowlu gives none', () => {
  const alone = breaking(
    ({ name, type, comment }, _, names) =>
      type === 'numeric' &&
      !/_base$|hours|percent|average/.test(name) &&
      !/gives (?:it|deals) no currency/.test(comment) &&
      !['currency', `${name}_currency`].some((what) => names.has(`${what}_id`) && names.has(`${what}_code`)),
  );
  expect(alone).toEqual([]);
});

it('what cannot be added up says so', () => {
  const silent = ({ name, comment }: ViewColumn, view: View) =>
    (/percent|average/.test(name) || `${view.name}.${name}` === 'pipeline_by_month.open_deals') &&
    !comment.includes('not to be added up');
  expect(breaking(silent)).toEqual([]);
});

/** One row for each person or account, but of sums: what would have changed is not the record. */
const SUMS = ['tasks_by_person', 'cash_position'];

it('a row that is a record says when it changed, and where it is in the portal if the path is known', () => {
  const records = VIEWS.filter(({ key = [], columns }) => {
    const first = columns.find(({ name }) => name === key[0]);
    return key.length === 1 && typeof first?.references === 'string';
  });
  const lacking = (column: string) => records.filter((view) => !named(view).has(column)).map(({ name }) => name);
  expect(records.length).toBeGreaterThan(12);
  expect(lacking('updated_at')).toEqual(SUMS);
  const ofTasks = records.filter(({ key }) => key?.[0] === 'task_id').map(({ name }) => name);
  expect(ofTasks.filter((name) => lacking('url').includes(name))).toEqual([]);
});

it('yes and no are flags, and their names say so', () => {
  const isNamedSo = (name: string) => /^(?:is|moves|counts)_|_differ$/.test(name);
  expect(breaking(({ name, type }) => isNamedSo(name) !== (type === 'boolean'))).toEqual([]);
});
