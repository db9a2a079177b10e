/** The whole catalogue: every known Flowlu model, by module and by name. */
import { agile } from './agile.ts';
import { calendar } from './calendar.ts';
import { company } from './company.ts';
import { core } from './core.ts';
import { crm } from './crm.ts';
import { customfields } from './customfields.ts';
import { customlists } from './customlists.ts';
import { estimates } from './fin/estimates.ts';
import { invoices } from './fin/invoices.ts';
import { money } from './fin/money.ts';
import { setup } from './fin/setup.ts';
import { knowledgebase } from './knowledgebase.ts';
import { loans } from './loans.ts';
import { splitName } from './name.ts';
import { products } from './products.ts';
import { st } from './st.ts';
import { system } from './system.ts';
import { task } from './task.ts';
import { telephony } from './telephony.ts';
import { timetracker } from './timetracker.ts';
import type { Model, ModelDeclaration } from './types.ts';

/** Declarations by module, then model. */
const catalog: Readonly<Record<string, Readonly<Record<string, ModelDeclaration>>>> = {
  agile,
  calendar,
  company,
  core,
  crm,
  customfields,
  customlists,
  fin: { ...estimates, ...invoices, ...money, ...setup },
  knowledgebase,
  loans,
  products,
  st,
  system,
  task,
  telephony,
  timetracker,
};

/** Ordered by name. */
export const models: readonly Model[] = Object.entries(catalog)
  .flatMap(([module, declarations]) =>
    Object.entries(declarations).map(([model, declaration]) => {
      return { ...declaration, module, model, name: `${module}.${model}`, table: `${module}_${model}` };
    }),
  )
  .sort((a, b) => (a.name < b.name ? -1 : 1));

const byName: ReadonlyMap<string, Model> = new Map(models.map((model) => [model.name, model]));

/** A model named only in the settings: read and swept like others, with its records in the common table. */
export function extraModel(name: string): Model {
  const { module, model } = splitName(name);
  return {
    ...{ module, model, name, table: '', title: name, scope: module, edition: 'expected', version: null },
    ...{ listable: true, gettable: true, fields: {} },
  };
}

/** Models named by clients and help pages but never seen. `doctor` asks for them. */
export const possibleModels = [
  'asset.asset',
  'businessprocess.instance',
  'businessprocess.process',
  'finacts.acts',
  'finacts.advance_invoices',
  'finacts.items',
  'finacts.relations',
  'finacts.status',
  'finacts.templates',
  'im.thread',
  'orgchart.department',
  'salary.employee',
  'telephony.telephony',
] as const;

/** Whether the model has a table of its own. */
export function isCatalogued({ table }: Model): boolean {
  return table !== '';
}

/** The model called `module.model`, or undefined if the catalogue lacks it. */
export function findModel(name: string): Model | undefined {
  return byName.get(name);
}
