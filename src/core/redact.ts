/** Keeps secrets out of everything that a person or a log may read. */

export type Redact = (text: string) => string;

const REDACTED = '[redacted]';
const MAX_CAUSES = 4;
/** Secrets of at least this many characters are replaced anywhere in a text. */
const MIN_LENGTH = 12;
/**
 * Secrets of at least this many are replaced as whole words only, since they may be parts of ordinary words. Shorter
 * ones are recognized only by `SHAPES`.
 */
const MIN_WORD_LENGTH = 8;

/** Text that looks like a secret, except for placeholders. The first group is kept. */
const SHAPES: readonly RegExp[] = [
  // A space may precede the value only if it is quoted or long: "FLOWLU_API_KEY: is needed" is a sentence.
  /(api_?key["']?(?:[=:]|%3D|%3A)(?:\s?["']|\s(?=\S{12}))?)[^\s&"'#,;%}<>]+/gi,
  /([\w\]]:\/\/[^\s/:@]*:)(?!password@)[^\s/@]+(?=@)/g,
  /((?:(?:access|refresh)_token|client_secret|code_verifier)["']?(?:[=:]|%3D|%3A)(?:\s?["']|\s(?=\S{12}))?)[^\s&"'#,;%}]+/gi,
  /(\/oauth\/callback\?)[^\s"']+/g,
  /(\b(?:Bearer|Basic)\s)[\w.~+/=-]+/gi,
  /(\/webhooks\/flowlu\/)(?!SECRET(?![\w.~%+-]))[^\s/?"'#]+/g,
  // Drizzle appends the values of a statement to its error message, and they are the portal's data. The search ends at
  // the next such message, so that a text full of them takes no longer than any other.
  /(Failed query: (?:(?!Failed query: ).)*?\nparams: ).+/gs,
];

/** Makes a redactor for the given secrets, in any spelling of URLs or JSON, and for whatever looks like a secret. */
export function createRedactor(secrets: readonly string[]): Redact {
  const known = secrets.filter((secret) => secret.length >= MIN_WORD_LENGTH).flatMap(patternsOf);
  const longestFirst = [...new Set(known)].sort((a, b) => b.length - a.length);
  // Known secrets go first: a shape would leave the rest of a secret that contains one of the delimiters.
  const all = longestFirst.length > 0 ? new RegExp(longestFirst.join('|'), 'g') : undefined;
  return (text) => {
    const rest = all ? text.replace(all, REDACTED) : text;
    return SHAPES.reduce((shaped, shape) => shaped.replace(shape, `$1${REDACTED}`), rest);
  };
}

function patternsOf(secret: string): readonly string[] {
  const encoded = encodeURIComponent(secret.toWellFormed());
  const lowerHex = encoded.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());
  const form = new URLSearchParams({ '': secret }).toString().slice(1);
  const json = JSON.stringify(secret).slice(1, -1);
  const spellings = [secret, encoded, lowerHex, encoded.replaceAll('%20', '+'), form, json];
  return spellings.map((spelling) => (secret.length < MIN_LENGTH ? asWord(spelling) : escapeRegExp(spelling)));
}

/** Characters of an escape, such as `%3D` or `\n`, also end a word. */
function asWord(text: string): string {
  return `(?:(?<!\\w)|(?<=%[0-9A-Fa-f]{2}|\\\\[bfnrt]))${escapeRegExp(text)}(?!\\w)`;
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/**
 * A copy of an error and its causes that is safe to throw: only name, code and redacted message, since errors of the
 * HTTP stack may carry whole URLs in other properties.
 */
export function safeCause(error: unknown, redact: Redact, depth = 1): Error {
  const source: Partial<Error> & { code?: unknown } = error instanceof Error ? error : { message: String(error) };
  const isLast = source.cause === undefined || depth >= MAX_CAUSES;
  const options = isLast ? undefined : { cause: safeCause(source.cause, redact, depth + 1) };
  const copy = new Error(redact(source.message ?? ''), options);
  copy.name = source.name ?? 'Error';
  return typeof source.code === 'string' ? Object.assign(copy, { code: redact(source.code) }) : copy;
}
