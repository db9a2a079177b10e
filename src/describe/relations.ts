/** The views with their keys and links, for tools that find neither in the database. Pure. */
import { findModel } from '../catalog/index.ts';
import type { View } from '../views/view.ts';

interface Link {
  readonly column: string;
  readonly target: Relation;
}

export interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly comment: string;
  /** Columns that tell the rows apart and are never null; empty where there are none. */
  readonly key: readonly string[];
  readonly columns: readonly { readonly name: string; readonly type: string; readonly comment: string }[];
  readonly links: readonly Link[];
}

/** The live views and the ready-made ones; those of the past have several rows for a record. */
export function relationsOf(views: readonly View[]): readonly Relation[] {
  const shown = views.filter(({ schema }) => schema !== 'flowlu_history');
  const relations = new Map(
    shown.map(({ schema, name, model, comment, key = model === null ? [] : ['id'], hasNobody = false, columns }) => {
      const isKey = key.length === 1 && !hasNobody;
      const relation = { schema, name, comment, key: isKey ? key : [], columns, links: [] as Link[] };
      return [`${schema}.${name}`, relation] as const;
    }),
  );
  for (const relation of relations.values()) {
    const { columns } = relation;
    for (const { name, references } of columns) {
      const target = relations.get(`flowlu_live.${findModel(references ?? '')?.table}`);
      const isItself = relation.schema === 'flowlu_live' && name === 'id';
      if (target !== undefined && !isItself) relation.links.push({ column: name, target });
    }
  }
  return [...relations.values()];
}
