/** Where a request really comes from, and whether webhooks are taken from there. Pure but for the lists it is made of. */
import { BlockList, isIP } from 'node:net';

export interface Network {
  readonly address: string;
  /** Leading bits that all of its addresses share. */
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Proxies that one request may have passed; what lies further back is not believed. */
const MAX_HOPS = 16;

export type Membership = (address: string) => boolean;

/** Makes a test for membership; of no network where none is given. */
export function membershipOf(networks: readonly Network[]): Membership {
  if (networks.length === 0) return () => false;
  const list = new BlockList();
  for (const { address, prefix, family } of networks) list.addSubnet(address, prefix, family);
  return (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * The address that a request comes from: the peer's, or behind trusted proxies what they say of it.
 *
 * `X-Forwarded-For` is read from the right, where each proxy adds the address that it saw. The first one that is no trusted
 * proxy's is the source; everything to its left was written by a stranger.
 * @returns null where a trusted proxy says nothing that is an address.
 */
export function sourceOf(
  peer: string | undefined,
  forwardedFor: string | undefined,
  isTrusted: Membership,
): string | null {
  let source = addressOf(peer ?? '');
  if (source === null || forwardedFor === undefined || !isTrusted(source)) return source;
  let end = forwardedFor.length;
  for (let hop = 0; hop < MAX_HOPS && end > 0; hop += 1) {
    const start = forwardedFor.lastIndexOf(',', end - 1) + 1;
    source = addressOf(forwardedFor.slice(start, end).trim());
    if (source === null || !isTrusted(source)) return source;
    end = start - 1;
  }
  // Nobody but trusted proxies: the request began at the furthest of them. Too many of them: nobody can say.
  return end > 0 ? null : source;
}

/** An address in its plain form: without a port, brackets, zone or the prefix that wraps IPv4 into IPv6. */
function addressOf(text: string): string | null {
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text;
  const plain = bare.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  return isIP(plain) === 0 ? null : plain.toLowerCase();
}
