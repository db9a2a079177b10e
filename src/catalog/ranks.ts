/** The order of first readings: what analysts open first, then what its labels need, then the rest. */
import { models } from './index.ts';

/** Custom fields come first: they are few, and records cannot be shown completely without them. */
const FIRST = [
  ...['customfields.fieldsets', 'customfields.fields', 'customfields.fieldoptions'],
  ...['crm.lead', 'crm.account', 'task.tasks', 'fin.invoice', 'st.projects', 'core.user'],
];

const RANKS = ranks();

/** Whether the newest rows of a model are worth a request before any model is read completely. */
export const isNewestFirst = (model: string): boolean => FIRST.includes(model);

/** Lower is earlier. */
export function rankOf(model: string): number {
  return RANKS.get(model) ?? models.length;
}

function ranks(): ReadonlyMap<string, number> {
  const labels = FIRST.flatMap((name) => {
    const fields = models.find((model) => model.name === name)?.fields ?? {};
    return Object.values(fields).flatMap(({ references }) => references ?? []);
  });
  const order = new Set([...FIRST, ...labels, ...models.map(({ name }) => name)]);
  return new Map([...order].map((name, index) => [name, index]));
}
