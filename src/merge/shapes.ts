/** What records are compared by, with the second names of custom fields, which the mirror itself holds. */
import { findModel } from '../catalog/index.ts';
import { groupBy } from '../core/group.ts';
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
    known = now;
    const byModel = (fields: readonly AliasedField[]) => [...groupBy(fields, ({ model }) => model)];
    shapes = new Map(
      byModel(aliased).map(([name, own]) => {
        const aliases = new Map(own.map(({ id, alias }) => [`cf_${alias}`, `cf_${id}`]));
        return [name, { fields: findModel(name)?.fields ?? {}, aliases }];
      }),
    );
    names = new Map(
      byModel([...former, ...aliased]).map(([name, own]) => {
        const byAlias = [...groupBy(own, ({ alias }) => `cf_${alias}`)];
        return [name, new Map(byAlias.map(([alias, fields]) => [alias, fields.map(({ id }) => `cf_${id}`)]))];
      }),
    );
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
