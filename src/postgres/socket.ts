/** Sockets to a server, with TLS negotiated where that is asked for. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls';
import { SQLSTATE } from './sqlstates.ts';
import type { Host, Tls } from './url.ts';

/** What is wrong with the TLS of a server, or with our settings of it: to be mended by a person. */
class TlsError extends Error {
  override readonly name = 'TlsError';
  readonly code = 'DATABASE_TLS';
}

/** The question whether a server has TLS: the length, and a number that stands for the question. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
/** Networks far away need longer than the 250 ms that Node.js gives each address of a name. */
const ADDRESS_MAX_MS = 1_000;

const isUnixSocket = ({ address }: Host): boolean => address.startsWith('/');

export const nameOf = (host: Host): string =>
  isUnixSocket(host) ? `${host.address}/.s.PGSQL.${host.port}` : `${host.name}:${host.port}`;

/** Whether another way is left after a refusal: with `allow` TLS follows on none, with `prefer` none on TLS. */
export function hasOtherWay(host: Host, { mode }: Tls, socket: Socket, code: string): boolean {
  const isSecured = socket instanceof TLSSocket;
  if (mode === 'prefer') return isSecured && code === SQLSTATE.invalidAuthorization;
  return mode === 'allow' && !isSecured && !isUnixSocket(host);
}

/**
 * Connects to a host; resolves once the server expects the first message of the protocol.
 * @param isOtherWay after the server has refused the first one; see `hasOtherWay`
 */
export async function openSocket(host: Host, tls: Tls, isOtherWay: boolean, signal: AbortSignal): Promise<Socket> {
  const plain = await connected(host, signal);
  const { mode } = tls;
  const mayBePlain = mode === 'allow' || mode === 'prefer';
  const isPlain = mode === 'disable' || (mayBePlain && isOtherWay === (mode === 'prefer'));
  if (isUnixSocket(host) || isPlain) return plain;
  let isOffered = false;
  try {
    isOffered = tls.isDirect || (await offersTls(plain, host, signal));
    if (!isOffered) {
      if (mayBePlain) return plain;
      throw new TlsError(
        `${nameOf(host)} does not offer TLS, which sslmode=${mode} demands; switch it on at the server, or write sslmode=disable`,
      );
    }
    return await secured(plain, host, tls, signal);
  } catch (error) {
    plain.destroy();
    if (mode !== 'prefer' || !isOffered || signal.aborted || error instanceof TlsError) throw error;
    return await connected(host, signal);
  }
}

async function connected(host: Host, signal: AbortSignal): Promise<Socket> {
  const { address, port } = host;
  const socket = isUnixSocket(host)
    ? connect(nameOf(host))
    : connect({ host: address, port, autoSelectFamilyAttemptTimeout: ADDRESS_MAX_MS });
  // What is sent at once is one packet anyway; the rest of a long one must not wait for its beginning to be acknowledged.
  socket.setNoDelay(true);
  await happens(socket, 'connect', host, signal);
  return socket;
}

async function offersTls(socket: Socket, host: Host, signal: AbortSignal): Promise<boolean> {
  const answered = happens<Buffer>(socket, 'data', host, signal);
  socket.write(SSL_REQUEST);
  const answer = await answered;
  // More would have been put there by somebody in between, to be taken for the server's words.
  if (answer.length !== 1) throw new TlsError(`${nameOf(host)} does not answer as a PostgreSQL server does`);
  return answer.toString('latin1') === 'S';
}

async function secured(plain: Socket, host: Host, tls: Tls, signal: AbortSignal): Promise<Socket> {
  const socket = connectTls({ ...tlsOptions(host, tls), socket: plain });
  try {
    await happens(socket, 'secureConnect', host, signal);
    return socket;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (!/CERT|SIGNATURE|ISSUER|SELF_SIGNED/.test(code)) throw error;
    const cure = 'set sslrootcert to the file of its authority; with sslmode=verify-full its name must be the host';
    throw new TlsError(`the certificate of ${nameOf(host)} is not accepted (${message}): ${cure}`, { cause: error });
  }
}

function tlsOptions({ name }: Host, { mode, isDirect, rootCert, cert, key, keyPassword }: Tls): ConnectionOptions {
  return {
    host: name,
    // A name of an address is not allowed in TLS.
    ...(isIP(name) === 0 && { servername: name }),
    ...(isDirect && { ALPNProtocols: ['postgresql'] }),
    rejectUnauthorized: mode === 'verify-ca' || mode === 'verify-full',
    ...(mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
    ...(rootCert !== undefined && rootCert !== 'system' && { ca: contentOf('sslrootcert', rootCert) }),
    ...(cert !== undefined && { cert: contentOf('sslcert', cert) }),
    ...(key !== undefined && { key: contentOf('sslkey', key) }),
    ...(keyPassword !== undefined && { passphrase: keyPassword }),
  };
}

/** Read with each connection, so that a renewed certificate needs no restart. */
function contentOf(parameter: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new TlsError(`the file of ${parameter} in the connection string cannot be read (${code})`, { cause: error });
  }
}

/** Resolves with an event's first argument; rejects, and destroys the socket, when it breaks, closes or is too late. */
async function happens<T>(socket: Socket, event: string, host: Host, signal: AbortSignal): Promise<T> {
  // An error that comes later must not end the process.
  socket.on('error', () => {});
  const over = new AbortController();
  const options = { signal: AbortSignal.any([signal, over.signal]) };
  const closes = once(socket, 'close', options).then(() => {
    throw closedEarly(host);
  });
  try {
    const [value] = await Promise.race([once(socket, event, options), closes]);
    return value;
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? signal.reason : error;
  } finally {
    over.abort();
  }
}

/** A server, or a proxy in front of one that is away, accepts a connection and closes it. */
export function closedEarly(host: Host): Error {
  const error = new Error(`${nameOf(host)} closed the connection without an answer`);
  return Object.assign(error, { code: 'ECONNRESET' });
}

export function silent(host: Host, limitMs: number): Error {
  const error = new Error(`${nameOf(host)} gave no answer within ${limitMs / 1_000} s`);
  return Object.assign(error, { code: 'ETIMEDOUT' });
}
