/** What records are compared by, with the second names of custom fields, which the mirror itself holds. */
import { findModel } from '../catalog/index.ts';
import { type CustomField, findCustomFields } from '../mirror-rows/custom-fields.ts';
import type { MirrorTable } from '../mirror-rows/rows.ts';
import type { Queryable } from '../postgres/connection.ts';
import { type Shape, UNKNOWN_SHAPE } from '../record/record.ts';
import { readNames } from '../store/custom-columns.ts';

export type AliasedField = Pick<CustomField, 'id' | 'model' | 'alias'>;

export type Shapes = ReturnType<typeof createShapes>;

/** Until the first refresh, the shapes include no custom fields. */
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
    // Remembered keys belong to a shape, so shapes are replaced only if their content changes.
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
    /** For each present or former alias of a custom field, all fields it may mean; a new map after a change. */
    namesOf: (model: string): ReadonlyMap<string, readonly string[]> | undefined => names.get(model),
    of: ({ name, model }: MirrorTable): Shape => shapes.get(name) ?? model ?? UNKNOWN_SHAPE,
    /** Reads which custom fields are defined now. */
    async refresh(sql: Queryable): Promise<void> {
      held = (await findCustomFields(sql)).filter(({ alias }) => alias !== '');
      former = (await readNames(sql)).flatMap(({ fieldId: id, model, aliases }) =>
        aliases.map((alias) => ({ id, model, alias })),
      );
      update();
    },
    /** Adds definitions that the mirror does not hold yet. Those it holds take precedence. */
    learn(aliases: readonly AliasedField[]): void {
      learnt = aliases;
      update();
    },
  };
}
