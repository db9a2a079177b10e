/**
 * What the driver gets wrong about sockets, mended on the sockets themselves (postgres 3.4.9, src/connection.js;
 * github.com/porsager/postgres/issues/1133, 1154 and pull/1215).
 */
import type { Socket } from 'node:net';

/** Whether the driver is told what has happened, or only that the connection is gone: then it opens another. */
type Verdict = 'tell' | 'go on';

export interface SocketEvents {
  /** The server has answered the start of the connection. */
  readonly onOutcome: (outcome: StartupOutcome) => Verdict;
  /** The connection has broken before that. */
  readonly onFailure: (error: Error) => Verdict;
  /** The connection has broken after that. */
  readonly onLost: () => void;
  readonly onClosed: () => void;
}

/** The first message of a connection that asks to cancel a statement; the server answers it by closing the connection. */
const CANCEL_REQUEST_BYTES = 16;

/** Watches a socket that is handed to the driver. @param limitMs how long the first answer may take */
export function watchSocket(
  socket: Socket,
  events: SocketEvents,
  { limitMs, late, early }: { readonly limitMs: number; readonly late: () => Error; readonly early: () => Error },
): void {
  const emit = socket.emit.bind(socket);
  const read = createStartupReader();
  let state: 'starting' | 'ready' | 'refused' | 'cancelling' | 'abandoned' = 'starting';
  let timer: NodeJS.Timeout | undefined;
  let leftByServer = false;
  // An error is held back until the socket is closed. In between the driver would take the connection for a good one, and
  // forget whatever it sends there: the caller would wait without end.
  let error: Error | null = null;

  function abandon(): void {
    state = 'abandoned';
    socket.destroy();
  }

  /** Sent in the turn of the event loop that the socket was handed over in, and so before anything can close it. */
  function start(chunk: Buffer): void {
    if (chunk.length === CANCEL_REQUEST_BYTES) state = 'cancelling';
    else timer = setTimeout(() => socket.destroy(late()), limitMs);
  }

  /** False when the driver is not to see what has come. */
  function arrives(chunk: Buffer): boolean {
    clearTimeout(timer);
    if (state === 'abandoned') return false;
    if (state !== 'starting') return true;
    const outcome = read(chunk);
    if (outcome === null) return true;
    state = outcome.kind;
    if (events.onOutcome(outcome) === 'tell') return true;
    abandon();
    return false;
  }

  function closes(): void {
    clearTimeout(timer);
    if (state === 'starting') {
      // The driver takes a connection that is accepted and closed for a reason to connect again, without pause or end.
      error ??= early();
      if (events.onFailure(error) === 'go on') state = 'abandoned';
    } else if (state === 'ready' && (error !== null || leftByServer)) events.onLost();
    events.onClosed();
  }

  socket.prependOnceListener('end', () => {
    leftByServer = !socket.writableEnded;
  });
  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event === 'error') {
      error ??= args[0] as Error;
      return true;
    }
    if (event === 'data' && !arrives(args[0] as Buffer)) return true;
    if (event !== 'close') return emit(event, ...args);
    closes();
    if (state === 'abandoned') return emit('close', false);
    if (error !== null) emit('error', error);
    return emit('close', error !== null);
  };
  gatherWrites(socket, start);
}

/** What may wait to be sent before the driver is asked to hold back; larger than a batch of deliveries. */
const MAX_UNSENT_BYTES = 32 * 1_024 * 1_024;

/**
 * Sends what is written in one turn of the code as one packet. The driver hands over each longer message by itself, and
 * a write to a socket costs more than most of what it says. A socket asks for a pause from 16 kB on; the driver then
 * waits for an answer before its next statement, a round trip for each statement of a larger batch.
 * @param onFirst told the first message
 */
function gatherWrites(socket: Socket, onFirst: (chunk: Buffer) => void): void {
  const write = socket.write.bind(socket);
  let gathering = false;
  let isFirst = true;
  const send = () => {
    gathering = false;
    socket.uncork();
  };
  socket.write = (...args: unknown[]) => {
    if (isFirst) onFirst(args[0] as Buffer);
    isFirst = false;
    if (!gathering) {
      gathering = true;
      socket.cork();
      process.nextTick(send);
    }
    Reflect.apply(write, undefined, args);
    return socket.writableLength < MAX_UNSENT_BYTES;
  };
}

export type StartupOutcome =
  /** `parameters`: names and values, such as `in_hot_standby`: from PostgreSQL 14 on, and never from most poolers. */
  | { readonly kind: 'ready'; readonly parameters: ReadonlyMap<string, string> }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

const PARAMETER = 'S';
const ERROR = 'E';
const READY = 'Z';
/** A server says a few hundred bytes; an error may quote a file of settings. */
const MAX_MESSAGE_BYTES = 2 ** 16;

/** Takes what the server sends, as it comes; answers once it is known which server it is, and whether it lets us in. */
function createStartupReader(): (chunk: Buffer) => StartupOutcome | null {
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
