/**
 * Batches as PostgreSQL takes them fastest: one array per column, unpacked by `unnest`.
 *
 * A statement then has as many parameters as columns however many rows travel, so its text is constant and stays
 * prepared; and each value is read by its type's own input function.
 */

/** A value on its way into a column, as its type's input function reads it. */
export type ArrayItem = string | boolean | null;

/** The literal of a `text[]`. */
export function arrayLiteral(items: readonly ArrayItem[]): string {
  return `{${items.map(quoted).join(',')}}`;
}

/** The literal of an array of ids or hashes, which hold nothing that needs quoting. */
export function plainArrayLiteral(items: readonly string[]): string {
  return `{${items.join(',')}}`;
}

/** One array literal per column, in the order in which `valuesOf` gives a row's values. */
export function columnLiterals<T>(
  rows: readonly T[],
  columns: number,
  valuesOf: (row: T) => readonly ArrayItem[],
): string[] {
  const table = rows.map(valuesOf);
  return Array.from({ length: columns }, (_, column) => arrayLiteral(table.map((values) => values[column] ?? null)));
}

/** `unnest($1::text[], …) as alias(names)`, the source that those literals are parameters of. */
export function unnested(alias: string, names: readonly string[]): string {
  const parameters = names.map((_, index) => `$${index + 1}::text[]`);
  return `unnest(${parameters.join(', ')}) as ${alias}(${names.join(', ')})`;
}

function quoted(item: ArrayItem): string {
  if (item === null) return 'NULL';
  if (typeof item === 'boolean') return item ? 't' : 'f';
  // Most values are short and hold neither; looking is cheaper than replacing.
  const escaped =
    item.includes('"') || item.includes('\\') ? item.replaceAll('\\', '\\\\').replaceAll('"', '\\"') : item;
  return `"${escaped}"`;
}
