/** Reading along while a connection starts: which server it is, and whether it lets us in. */

/** What a server says of itself while a connection starts. */
export interface ServerFacts {
  /** Names and values, such as `in_hot_standby`: from PostgreSQL 14 on, and never from most poolers. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** How a server has answered the start. */
export type StartupOutcome =
  | ({ readonly kind: 'ready' } & ServerFacts)
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

const PARAMETER = 'S';
const ERROR = 'E';
const READY = 'Z';
/** A server says a few hundred bytes; an error may quote a file of settings. */
const MAX_MESSAGE_BYTES = 2 ** 16;

/** Takes what the server sends, as it comes; answers once the outcome is known. */
export function createStartupReader(): (chunk: Buffer) => StartupOutcome | null {
  const parameters = new Map<string, string>();
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 5) {
      const end = 1 + rest.readUInt32BE(1);
      if (end < 5 || end > MAX_MESSAGE_BYTES) return { kind: 'refused', code: '', message: 'not PostgreSQL' };
      if (rest.length < end) return null;
      const outcome = outcomeOf(rest.subarray(0, end), parameters);
      if (outcome !== null) return outcome;
      rest = rest.subarray(end);
    }
    return null;
  };
}

function outcomeOf(message: Buffer, parameters: Map<string, string>): StartupOutcome | null {
  const type = String.fromCharCode(message[0] ?? 0);
  const words = message.toString('utf8', 5).split('\0');
  if (type === READY) return { kind: 'ready', parameters };
  if (type === ERROR) return refusalOf(words);
  if (type === PARAMETER) parameters.set(words[0] ?? '', words[1] ?? '');
  return null;
}

function refusalOf(fields: readonly string[]): StartupOutcome {
  const field = (letter: string) => fields.find((one) => one.startsWith(letter))?.slice(1) ?? '';
  return { kind: 'refused', code: field('C'), message: field('M') };
}
