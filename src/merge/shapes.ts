/** What records are compared by, custom fields' second names included; these are learnt from the mirror itself. */
import { findModel } from '../catalog/index.ts';
import { type CustomField, findCustomFields } from '../mirror-rows/custom-fields.ts';
import type { MirrorTable } from '../mirror-rows/rows.ts';
import type { Queryable } from '../postgres/connection.ts';
import { type Shape, UNKNOWN_SHAPE } from '../record/record.ts';
import { readNames } from '../store/custom-columns.ts';

export type AliasedField = Pick<CustomField, 'id' | 'model' | 'alias'>;

export type Shapes = ReturnType<typeof createShapes>;

/** Makes the shapes; until the first refresh they know no custom fields. */
export function createShapes() {
  let known = '';
  let shapes = new Map<string, Shape>();
  let held: readonly AliasedField[] = [];
  let learnt: readonly AliasedField[] = [];
  let former: readonly AliasedField[] = [];
  let names = new Map<string, Map<string, string[]>>();

  function update(): void {
    const aliased = [...learnt, ...held];
    const now = JSON.stringify([...former, ...aliased].map(({ id, model, alias }) => [id, model, alias]));
    // Shapes are what keys are remembered by, so they change only with what they say.
    if (now === known) return;
    const byModel = new Map<string, Map<string, string>>();
    for (const { id, model, alias } of aliased) {
      byModel.set(model, (byModel.get(model) ?? new Map()).set(`cf_${alias}`, `cf_${id}`));
    }
    shapes = new Map(
      [...byModel].map(([name, own]) => [name, { fields: findModel(name)?.fields ?? {}, aliases: own }]),
    );
    names = new Map();
    for (const { id, model, alias } of [...former, ...aliased]) {
      const own = names.get(model) ?? new Map<string, string[]>();
      names.set(model, own.set(`cf_${alias}`, [...(own.get(`cf_${alias}`) ?? []), `cf_${id}`]));
    }
    known = now;
  }

  return {
    /** By each alias that a model's custom fields have or had, all fields that it may be; a new map whenever that changes. */
    namesOf: (model: string): ReadonlyMap<string, readonly string[]> | undefined => names.get(model),
    of: ({ name, model }: MirrorTable): Shape => shapes.get(name) ?? model ?? UNKNOWN_SHAPE,
    /** Looks which custom fields are defined now. */
    async refresh(sql: Queryable): Promise<void> {
      held = (await findCustomFields(sql)).filter(({ alias }) => alias !== '');
      former = (await readNames(sql)).flatMap(({ fieldId: id, model, aliases }) =>
        aliases.map((alias) => ({ id, model, alias })),
      );
      update();
    },
    /** Takes definitions that the mirror does not hold yet; what it holds counts more. */
    learn(aliases: readonly AliasedField[]): void {
      learnt = aliases;
      update();
    },
  };
}
