/** The socket below a connection, with one failure made visible that the driver would chase for ever. */
import { Socket } from 'node:net';

/** What the driver knows about where to connect. */
export interface SocketAddress {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

/** A request to cancel a statement is answered by closing the connection, and is exactly this long. */
const CANCEL_REQUEST_BYTES = 16;

/**
 * Begins to connect. Proxies in front of a database that is away accept a connection and close it at
 * once; the driver takes that for a reason to connect again, without pause or end, and its caller waits
 * for ever. Here it becomes an error like a refused connection.
 * @param onLost called when an open connection breaks, before the driver learns of it
 * @param sockets those that are open, to which this one is added
 */
export function openSocket({ host, port, path }: SocketAddress, onLost: () => void, sockets: Set<Socket>): Socket {
  const target = { host: host[0] ?? 'localhost', port: port[0] ?? 5432 };
  // The driver reads both: for its messages, and for the name that the server's certificate must bear.
  const socket = Object.assign(new Socket(), target);
  socket.once('end', () => {
    if (socket.bytesRead > 0 || socket.bytesWritten === CANCEL_REQUEST_BYTES) return;
    const error = new Error(`${target.host}:${target.port} closed the connection without an answer`);
    socket.destroy(Object.assign(error, { code: 'ECONNRESET' }));
  });
  sockets.add(socket);
  watchLoss(socket, onLost, () => sockets.delete(socket));
  gatherWrites(socket);
  // What goes out at once is one packet anyway; the rest of a long one must not wait for its beginning to be acknowledged.
  socket.setNoDelay(true);
  return path ? socket.connect(path) : socket.connect(target);
}

/**
 * Sends what is written in one turn of the code as one packet. The driver hands over each longer message by itself, and
 * a write to a socket costs more than most of what it says.
 */
function gatherWrites(socket: Socket): void {
  const write = socket.write.bind(socket);
  let gathering = false;
  const send = () => {
    gathering = false;
    socket.uncork();
  };
  socket.write = (...args: unknown[]) => {
    if (!gathering) {
      gathering = true;
      socket.cork();
      process.nextTick(send);
    }
    return Reflect.apply(write, undefined, args);
  };
}

/**
 * Holds an error back until the socket is closed. In between the driver would take the connection for a good one, and
 * forget whatever it sends there: the caller would wait for ever.
 */
function watchLoss(socket: Socket, onLost: () => void, onClosed: () => void): void {
  const emit = socket.emit.bind(socket);
  let error: unknown[] | null = null;
  let leftByServer = false;
  socket.prependOnceListener('end', () => {
    leftByServer = !socket.writableEnded;
  });
  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event === 'error') {
      error ??= args;
      return true;
    }
    if (event !== 'close') return emit(event, ...args);
    onClosed();
    if (socket.bytesRead > 0 && (error !== null || leftByServer)) onLost();
    if (error !== null) emit('error', ...error);
    return emit(event, ...args);
  };
}
