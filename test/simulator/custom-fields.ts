/**
 * Custom fields of the seeded portal: which definitions exist, their options, and the values that
 * stand inline on the entities as `cf_{id}` and `cf_{id}_value`.
 */
import type { Value } from './json.ts';
import { between, chance, pick, type Random } from './random.ts';
import { money, personName, someTime, type World } from './values.ts';
import { NOTES } from './words.ts';

const OWNERS = ['crm.account', 'crm.lead', 'task.tasks', 'st.projects'] as const;

const TYPES = [
  'select.single',
  'smalltext',
  'boolean',
  'date',
  'price',
  'int',
  'select.multiple',
  'model.user',
  'datetime',
  'decimal',
  'text',
] as const;

const OPTIONS = ['Hot', 'Warm', 'Cold ❄️', 'Неизвестно', 'Später'] as const;

export interface Definition {
  readonly id: number;
  /** `module.model` of the entities that carry the field. */
  readonly owner: string;
  readonly type: (typeof TYPES)[number];
  readonly name: string;
  readonly alias: string;
  readonly optionIds: readonly number[];
}

/** Definitions that a full portal starts with: every type once per model that has custom fields. */
export const DEFINITION_COUNT = OWNERS.length * TYPES.length;
/** Options that a full portal starts with. */
export const OPTION_COUNT = OWNERS.length * 2 * OPTIONS.length;
export const FIELDSET_COUNT = OWNERS.length;

const takesOptions = (type: string): boolean => type.startsWith('select.');

/** The definition in the n-th seeded row of `customfields.fields`. */
function definitionAt(index: number, world: World): Definition {
  const owner = OWNERS[index % OWNERS.length] ?? 'crm.account';
  const round = Math.floor(index / OWNERS.length) % TYPES.length;
  const type = TYPES[round] ?? 'smalltext';
  const id = world.idAt(index);
  const optionIds: number[] = [];
  if (takesOptions(type)) {
    const block = (type === 'select.single' ? 0 : OWNERS.length) + (index % OWNERS.length);
    for (let i = 0; i < OPTIONS.length; i++) {
      const option = block * OPTIONS.length + i;
      if (option < world.count('customfields.fieldoptions')) optionIds.push(world.idAt(option));
    }
  }
  return { id, owner, type, name: `${type} field ${id}`, alias: `${type.replace('.', '_')}_${id}`, optionIds };
}

/** All seeded definitions of one model's custom fields, in order of id. */
export function definitionsOf(model: string, world: World): Definition[] {
  const count = Math.min(world.count('customfields.fields'), DEFINITION_COUNT);
  return Array.from({ length: count }, (_, index) => definitionAt(index, world)).filter(({ owner }) => owner === model);
}

/** Overrides that make the n-th seeded row of a `customfields` model agree with the definitions. */
export function customFieldRow(model: string, index: number, world: World): Record<string, Value> {
  if (model === 'customfields.fields') {
    const { owner, type, name, alias } = definitionAt(index, world);
    const [module = '', entity = ''] = owner.split('.');
    const fieldset = Math.min(index % OWNERS.length, world.count('customfields.fieldsets') - 1);
    const fieldset_id = fieldset < 0 ? 0 : world.idAt(fieldset);
    return {
      type,
      name,
      alias,
      module,
      model: entity,
      fieldset_id,
      api_use_alias: world.asSeen ? 1 : 0,
      webhook_use_alias: 0,
      parent_id: 0,
    };
  }
  if (model === 'customfields.fieldsets') {
    const [module = '', entity = ''] = (OWNERS[index % OWNERS.length] ?? '').split('.');
    return { module, model: entity, name: `Fields of ${entity}` };
  }
  if (model === 'customfields.fieldoptions') {
    const block = Math.floor(index / OPTIONS.length) % (2 * OWNERS.length);
    const round = block < OWNERS.length ? TYPES.indexOf('select.single') : TYPES.indexOf('select.multiple');
    const definition = round * OWNERS.length + (block % OWNERS.length);
    const field_id = definition < world.count('customfields.fields') ? world.idAt(definition) : 0;
    return { field_id, type: 'option', value: OPTIONS[index % OPTIONS.length] ?? '', ordering: index % OPTIONS.length };
  }
  return {};
}

function optionLabel(id: number, definition: Definition): string {
  return OPTIONS[definition.optionIds.indexOf(id)] ?? '';
}

/** Inline value and label; values are strings whatever the type, as in live answers. */
function inlineValue(definition: Definition, random: Random, world: World): readonly [string, string?] {
  if (chance(random, 0.2)) return takesOptions(definition.type) || definition.type === 'model.user' ? ['', ''] : [''];
  switch (definition.type) {
    case 'select.single': {
      if (definition.optionIds.length === 0) return ['', ''];
      const id = pick(random, definition.optionIds);
      return [String(id), optionLabel(id, definition)];
    }
    case 'select.multiple': {
      const ids = definition.optionIds.filter(() => chance(random, 0.4));
      return [ids.join(','), ids.map((id) => optionLabel(id, definition)).join(', ')];
    }
    case 'model.user': {
      const users = world.count('core.user');
      return users === 0 ? ['0', ''] : [String(world.idAt(between(random, 0, users - 1))), personName(random)];
    }
    case 'boolean':
      return [chance(random, 0.5) ? '1' : '0'];
    case 'int':
      return [String(between(random, -5, 100_000))];
    case 'price':
      return [money(random).toFixed(2)];
    case 'decimal':
      return [(between(random, 0, 10_000_000) / 10_000).toFixed(4)];
    case 'date':
      return [world.zone.date(someTime(random, world))];
    case 'datetime':
      return [world.zone.dateTime(someTime(random, world))];
    case 'text':
    case 'smalltext':
      return [pick(random, NOTES)];
  }
}

/** New inline values for every given definition: `cf_7`, and `cf_7_value` where a label belongs to it. */
export function customValues(definitions: readonly Definition[], random: Random, world: World): Record<string, Value> {
  const values: Record<string, Value> = {};
  for (const definition of definitions) {
    const [value, label] = inlineValue(definition, random, world);
    values[`cf_${definition.id}`] = value;
    if (label !== undefined) values[`cf_${definition.id}_value`] = label;
  }
  return values;
}
