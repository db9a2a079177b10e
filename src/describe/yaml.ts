/** Writes plain data as YAML that readers of versions 1.1 and 1.2 understand alike. */

export type Yaml = string | number | boolean | null | readonly Yaml[] | { readonly [key: string]: Yaml | undefined };

/** The value as a document in block style; keys that are undefined are left out. */
export const toYaml = (value: Yaml): string => `${linesOf(value).join('\n')}\n`;

function linesOf(value: Yaml): readonly string[] {
  const short = inline(value);
  if (short !== null) return [short];
  if (isList(value)) {
    return value.flatMap((item) => linesOf(item).map((line, index) => `${index === 0 ? '- ' : '  '}${line}`));
  }
  return Object.entries(value as object).flatMap(([key, inner]: [string, Yaml | undefined]) => {
    if (inner === undefined) return [];
    const beside = inline(inner);
    return beside === null
      ? [`${scalar(key)}:`, ...linesOf(inner).map((line) => `  ${line}`)]
      : [`${scalar(key)}: ${beside}`];
  });
}

/** What fits on the line of its key, or null for what has lines of its own. */
function inline(value: Yaml): string | null {
  if (value === null || typeof value !== 'object') return scalar(value);
  if (isList(value)) return value.length === 0 ? '[]' : null;
  return Object.values(value).every((inner) => inner === undefined) ? '{}' : null;
}

const isList = (value: Yaml): value is readonly Yaml[] => Array.isArray(value);

/** Words that mean no text to one reader or another. */
const NOT_TEXT = /^(?:null|true|false|yes|no|on|off|y|n)$/i;
/** What JSON lets stand in a string and YAML does not. */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

function scalar(value: string | number | boolean | null): string {
  if (typeof value === 'string' && /^[a-z_]\w*$/i.test(value) && !NOT_TEXT.test(value)) return value;
  return JSON.stringify(value).replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
