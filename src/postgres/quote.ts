/** Spelling names and texts inside SQL that takes no parameters (DDL, comments, grants). */

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** `text` as a string literal, whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return quoted.includes('\\') ? `E${quoted}` : quoted;
}
