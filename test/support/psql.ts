/** A result as psql prints it: what people will see when they run a query from the pages. */

/** PostgreSQL's own text of each value; null for null. */
export interface TextTable {
  readonly columns: readonly { readonly name: string; readonly isNumber: boolean }[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** The table without its last line, which counts the rows, and without spaces at the ends of lines. */
export function printTable({ columns, rows }: TextTable): string {
  const cells = rows.map((row) => row.map((value) => value ?? ''));
  const widths = columns.map(({ name }, at) => Math.max(widthOf(name), ...cells.map((row) => widthOf(row[at] ?? ''))));
  const heading = columns.map(({ name }, at) => {
    const room = (widths[at] ?? 0) - widthOf(name);
    return ` ${' '.repeat(Math.floor(room / 2))}${name}${' '.repeat(Math.ceil(room / 2))} `;
  });
  const body = cells.map((row) =>
    row.map((value, at) => {
      const room = ' '.repeat((widths[at] ?? 0) - widthOf(value));
      return columns[at]?.isNumber ? ` ${room}${value} ` : ` ${value}${room} `;
    }),
  );
  const rule = widths.map((width) => '-'.repeat(width + 2)).join('+');
  const lines = [heading.join('|'), rule, ...body.map((row) => row.join('|'))];
  return lines.map((line) => line.trimEnd()).join('\n');
}

/** Places that a text takes on a terminal: two for ideographs and pictures, none for marks that combine. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}|\u200d/u.test(character)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\u2b50\u2705\u{1f300}-\u{1faff}]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}
