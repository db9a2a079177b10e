/** Keeps the API key and tokens out of everything a person or a log may read. */

/** Text with the secret taken out. */
export type Redact = (text: string) => string;

const MASK = '***';
const MAX_CAUSES = 4;

/** A function that masks secrets, as they stand and as URLs spell them, and any `api_key=` parameter. */
export function redactor(...secrets: readonly string[]): Redact {
  const spellings = new Set(
    secrets.flatMap((secret) => [
      secret,
      encodeURIComponent(secret),
      new URLSearchParams({ '': secret }).toString().slice(1),
      JSON.stringify(secret).slice(1, -1),
    ]),
  );
  return (text) => {
    let clean = text.replace(/(api_key(?:=|%3D))[^&\s"'<>]*/gi, `$1${MASK}`);
    for (const spelling of spellings) clean = clean.replaceAll(spelling, MASK);
    return clean;
  };
}

/**
 * A copy of an error and its causes that is safe to throw on: name, code and masked message only,
 * since the errors of the HTTP stack may carry whole URLs in properties of their own.
 */
export function safeCause(error: unknown, redact: Redact, depth = 1): Error {
  const source: Partial<Error> & { code?: unknown } = error instanceof Error ? error : { message: String(error) };
  const options =
    source.cause === undefined || depth >= MAX_CAUSES
      ? undefined
      : { cause: safeCause(source.cause, redact, depth + 1) };
  const copy = new Error(redact(source.message ?? ''), options);
  copy.name = source.name ?? 'Error';
  return typeof source.code === 'string' ? Object.assign(copy, { code: redact(source.code) }) : copy;
}
