/** Whether an address may be listened on without encryption. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Config, networks } from '../config/index.ts';
import { UsageError } from '../core/errors.ts';
import { membershipOf } from '../intake/sources.ts';
import { readTlsPair } from './tls.ts';

/** How far an address can be reached from. An unspecified one, such as 0.0.0.0, is public: it stands for all of them. */
type Reach = 'loopback' | 'private' | 'public';

/**
 * Refuses to carry secrets in the clear where the internet may listen, and a certificate that cannot be used.
 * @returns how far the listener can be reached from.
 * @throws UsageError
 */
export async function checkExposure({ host, tls, plainHttp }: Config['http']): Promise<Reach> {
  if (tls !== null) {
    await readTlsPair(tls).catch((error: Error) => {
      throw new UsageError(error.message, { cause: error });
    });
  }
  const reach = await reachOf(host);
  if (tls !== null || plainHttp === 'anywhere' || reach !== 'public') return reach;
  throw new UsageError(
    `serve would speak plain HTTP on ${host}, which the internet may reach, and secrets would travel in the clear. ` +
      'Set TLS_CERT_FILE and TLS_KEY_FILE; or HOST=127.0.0.1 with a proxy on this machine; ' +
      'or PLAIN_HTTP=anywhere, if a proxy in front speaks HTTPS and nobody gets around it.',
  );
}

async function reachOf(host: string): Promise<Reach> {
  const found = isIP(host) === 0 ? await lookup(host, { all: true }).catch(() => []) : [{ address: host }];
  const reaches = found.map(({ address }) => reachOfAddress(address));
  // A name that leads nowhere is refused by the listener itself, with the better message.
  return (['public', 'private'] as const).find((reach) => reaches.includes(reach)) ?? 'loopback';
}

const isLoopback = membershipOf(networks.read('loopback'));
const isPrivate = membershipOf(networks.read('private'));

function reachOfAddress(address: string): Reach {
  if (isLoopback(address)) return 'loopback';
  return isPrivate(address) ? 'private' : 'public';
}
