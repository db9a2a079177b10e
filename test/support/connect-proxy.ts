/** A proxy that is asked to CONNECT, as companies have them, and leads to this machine whatever name it is asked for. */
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ConnectProxy {
  readonly port: number;
  /** What it was asked for, with the login that came along. */
  readonly asked: readonly { readonly target: string; readonly login: string | undefined }[];
  close(): Promise<void>;
}

/** @param status what it answers; it leads on with 200 only */
export async function startConnectProxy(status = 200): Promise<ConnectProxy> {
  const asked: { target: string; login: string | undefined }[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    return socket.on('error', () => {});
  };
  const server = createServer();
  server.on('connect', (request, incoming: Socket) => {
    const { url: target = '', headers } = request;
    asked.push({ target, login: headers['proxy-authorization'] });
    keep(incoming).write(`HTTP/1.1 ${status} so\r\n\r\n`);
    if (status !== 200) return incoming.end();
    const outgoing = keep(connect(Number(target.split(':').at(-1)), '127.0.0.1'));
    return incoming.pipe(outgoing).pipe(incoming);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
