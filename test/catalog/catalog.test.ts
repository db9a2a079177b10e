import { describe, expect, test } from 'vitest';
import { findModel, models } from '../../src/catalog/index.ts';
import { DOCUMENTED_SCOPES } from '../../src/catalog/scopes.ts';
import type { Field } from '../../src/catalog/types.ts';
import facts from './known-models.json' with { type: 'json' };

/** Model → its updated field and its field names in lower case, copied from the gathered facts. */
const known: Readonly<Record<string, { readonly updated: string | null; readonly fields: string }>> = facts;

interface Located {
  readonly at: string;
  readonly name: string;
  readonly field: Field;
}

const fieldsWithPlace: readonly Located[] = models.flatMap((model) =>
  Object.entries(model.fields).map(([name, field]) => ({ at: `${model.name}.${name}`, name, field })),
);

/** The places whose field is as described; a failing test then prints them. */
const placesWhere = (holds: (located: Located) => boolean): readonly string[] =>
  fieldsWithPlace.filter(holds).map(({ at }) => at);

const kindOf = (at: string) => fieldsWithPlace.find((located) => located.at === at)?.field.kind;

describe('completeness', () => {
  test('all 104 known models are declared, and no other', () => {
    expect(models).toHaveLength(104);
    expect(models.map(({ name }) => name)).toEqual(Object.keys(known).sort());
  });

  test.each(Object.entries(known))('%s has exactly the known fields and version field', (name, { updated, fields }) => {
    const model = findModel(name);
    expect(Object.keys(model?.fields ?? {}).sort()).toEqual(fields.split(' ').sort());
    expect(model?.version).toBe(updated);
  });
});

describe('names', () => {
  test('models are sorted by name, and tables are named uniquely after module and model', () => {
    const names = models.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
    expect(new Set(models.map(({ table }) => table)).size).toBe(models.length);
    for (const { module, model, name, table } of models)
      expect([name, table]).toEqual([`${module}.${model}`, `${module}_${model}`]);
  });

  test('a model is found by its name, and an unknown name finds nothing', () => {
    expect(findModel('crm.account')?.table).toBe('crm_account');
    expect(findModel('crm.accounts')).toBeUndefined();
    expect(findModel('constructor')).toBeUndefined();
  });

  test('table and column names fit into an unquoted PostgreSQL identifier', () => {
    const identifier = /^[a-z][a-z0-9_]{0,62}$/;
    expect(models.filter(({ table }) => !identifier.test(table))).toEqual([]);
    expect(placesWhere(({ name }) => !identifier.test(name))).toEqual([]);
  });

  test('no field is named like a meta column, which begin with an underscore', () => {
    expect(placesWhere(({ name }) => name.startsWith('_'))).toEqual([]);
  });
});

describe('models', () => {
  test('the first field of each model, and only that, is its id', () => {
    for (const model of models) {
      expect(Object.keys(model.fields)[0], model.name).toBe('id');
    }
    expect(placesWhere(({ name, field }) => (name === 'id') !== (field.kind === 'id'))).toEqual([]);
  });

  test('a version field exists in its model and holds a moment', () => {
    for (const { name, version, fields } of models) {
      if (version !== null) expect(fields[version]?.kind, name).toBe('datetime');
    }
  });

  test('an update time that live answers lack is a column, but not the version', () => {
    const model = findModel('crm.pipeline');
    expect(model?.version).toBeNull();
    expect(model?.fields.updated_date?.kind).toBe('datetime');
  });

  test('a scope is a documented one, or the name of the module as a guess', () => {
    const strange = models.filter(({ scope, module }) => !DOCUMENTED_SCOPES.has(scope) && scope !== module);
    expect(strange.map(({ name, scope }) => `${name}: ${scope}`)).toEqual([]);
    for (const { name, scope, module } of models) {
      if (module !== 'core') expect(scope.split('.')[0], name).toBe(module);
    }
  });

  test('exactly the models without a list or a single read are marked so', () => {
    expect(models.filter(({ listable }) => !listable).map(({ name }) => name)).toEqual(['system.comments']);
    expect(models.filter(({ gettable }) => !gettable).map(({ name }) => name)).toEqual([
      'core.tag',
      'customlists.lists',
    ]);
  });

  test('tasks are asked for with their archive', () => {
    expect(findModel('task.tasks')?.listQuery).toEqual({ 'filter[archive_status]': '0,10' });
  });

  test('every model has a title of its own', () => {
    expect(new Set(models.map(({ title }) => title)).size).toBe(models.length);
  });
});

describe('fields', () => {
  test('every reference stands on a link and names a declared model', () => {
    expect(
      placesWhere(
        ({ field: { kind, references } }) =>
          references !== undefined && (kind !== 'link' || findModel(references) === undefined),
      ),
    ).toEqual([]);
  });

  test('labels stand on codes only, and say something', () => {
    expect(
      placesWhere(
        ({ field: { kind, labels } }) =>
          labels !== undefined &&
          (kind !== 'code' || Object.values(labels).length === 0 || Object.values(labels).includes('')),
      ),
    ).toEqual([]);
  });

  test('every doc is one trimmed line shorter than 200 characters', () => {
    expect(placesWhere(({ field: { doc } }) => !/^\S(?:.{0,197}\S)?$/u.test(doc))).toEqual([]);
  });

  test('no doc merely repeats the name of a field', () => {
    const letters = (words: string) => words.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
    const names = new Set(fieldsWithPlace.map(({ name }) => letters(name)));
    expect(placesWhere(({ field }) => names.has(letters(field.doc)))).toEqual([]);
  });

  test('external ids and identifiers made of letters are text in every model', () => {
    const textual = new Set(['ref', 'ref_id', 'ref_uuid', 'uuid', 'guid_1c', 'hash', 'etag', 'event_etag']);
    expect(placesWhere(({ name, field }) => textual.has(name) && field.kind !== 'text')).toEqual([]);
  });

  test('the moments of creation and change are datetimes, and their users are links to users', () => {
    const moments = /^(?:created|updated)(?:_date|_at)?$|^deleted_at$/;
    expect(placesWhere(({ name, field }) => moments.test(name) && field.kind !== 'datetime')).toEqual([]);
    const users = /^(?:created|updated)_by$/;
    expect(placesWhere(({ name, field }) => users.test(name) && field.references !== 'core.user')).toEqual([]);
  });

  test('money, quantities and rates are exact decimals', () => {
    const amounts = /(?:^|_)(?:amount|total|price|rate|balance|quantity|charge|income|outcome|discount|budget)$/;
    const others = new Set(['hide_quantity', 'is_charge']);
    expect(
      placesWhere(({ name, field }) => amounts.test(name) && !others.has(name) && field.kind !== 'decimal'),
    ).toEqual([]);
  });
});

describe('kinds that the names alone would get wrong', () => {
  test.each([
    ['core.user.last_active', 'unix'],
    ['core.user.role_admin', 'flag'],
    ['crm.account.active', 'flag'],
    ['crm.lead.active', 'code'],
    ['crm.lead.deadline', 'date'],
    ['crm.lead.closing_date', 'date'],
    ['task.tasks.deadline', 'datetime'],
    ['task.tasks.start_date', 'datetime'],
    ['task.tasks.status_firstviewdate', 'datetime'],
    ['task.tasks.is_archive', 'flag'],
    ['st.projects.startdate', 'date'],
    ['st.project_expense.date', 'date'],
    ['agile.sprints.standup_time', 'text'],
    ['agile.issue_relations.type', 'link'],
    ['timetracker.timelogs.time_spent', 'integer'],
    ['timetracker.timelogs.start_timestamp', 'unix'],
    ['fin.invoice.status_id', 'code'],
    ['fin.invoice.invoice_date', 'date'],
    ['fin.invoice.invoice_emailed_date', 'datetime'],
    ['fin.invoice.discount_before_tax', 'flag'],
    ['fin.invoice_item.discount_is_percent', 'flag'],
    ['fin.invoice_contacts.contact_id', 'link'],
    ['fin.commitment.amount', 'decimal'],
    ['fin.transaction.outcome', 'decimal'],
    ['fin.transaction.default_bcy_outcome', 'decimal'],
    ['products.product.pricelist_price_1', 'decimal'],
    ['company.absences.end_date', 'date'],
    ['knowledgebase.feedback.user_ip', 'integer'],
    ['loans.loan.type', 'text'],
    ['telephony.calls.start', 'datetime'],
    ['telephony.calls.records', 'text'],
  ] as const)('%s is of kind %s', (at, kind) => {
    expect(kindOf(at)).toBe(kind);
  });

  test('the tax number is one field, whatever case Flowlu spells it in', () => {
    expect(Object.keys(findModel('crm.account')?.fields ?? {}).filter((name) => name.startsWith('vat'))).toEqual([
      'vat',
      'vat1',
      'vat2',
    ]);
  });
});
