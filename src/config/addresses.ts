/** Parsers of addresses: of the portal, of this service, of the database, and of networks. */
import { isIP } from 'node:net';
import { passwordsIn, readTarget } from '../postgres/url.ts';
import { type Parser, parser, quoted, wordsOf } from './parsers.ts';

const MAX_NETWORKS = 1_000;
/** Words for ranges that everybody would otherwise have to look up. */
const NAMED_NETWORKS: ReadonlyMap<string, readonly string[]> = new Map([
  ['loopback', ['127.0.0.0/8', '::1/128']],
  // With the range of carriers' and overlay networks (100.64/10), and the link-local ones.
  [
    'private',
    ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16', 'fc00::/7', 'fe80::/10'],
  ],
]);
/** `https://host`, perhaps with a port or `*.` in front; nothing that could end or extend a header. */
const ORIGIN =
  /^https:\/\/(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?$|^http:\/\/(localhost|127(\.\d{1,3}){3})(:\d{1,5})?$/;

/** Takes `acme`; also `acme.flowlu.com` or the portal's address, because that is what people paste. */
export const company: Parser<string> = {
  expects: 'the sub-domain alone: acme for https://acme.flowlu.com',
  read(text) {
    const pasted = /^(?:https?:\/\/)?([^./?#]+)\.flowlu\.com(?:[/?#].*)?$/is.exec(text)?.[1];
    const label = (pasted ?? text).toLowerCase();
    if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) return label;
    const elsewhere = text.includes('.') ? '; for a host outside of flowlu.com set FLOWLU_BASE_URL' : '';
    throw new Error(`must be ${company.expects}${elsewhere}`);
  },
};

/** The errors of addresses do not repeat them: people paste addresses that hold a key. */
function address(example: string, check: (url: URL) => string): Parser<string> {
  const expects = `an https:// address such as ${example} (http:// on this machine only)`;
  return {
    expects,
    read(text) {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (!url || !/^https?:$/.test(url.protocol)) throw new Error(`must be ${expects}`);
      if (url.username || url.password) throw new Error('must be an address without a user');
      if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
        throw new Error('must begin with https:// (http:// on this machine only)');
      }
      return check(url);
    },
  };
}

/** An address that paths are appended to. */
const base = (example: string) =>
  address(example, (url) => {
    if (url.search || url.hash) throw new Error('must be an address without ? and #');
    return url.href.replace(/\/+$/, '');
  });

export const apiUrl = base('https://acme.flowlu.com/api/v1/module');
export const publicUrl = base('https://mirror.example.com');

/** OAuth allows an endpoint to have a query of its own, which stays. */
export const endpoint = address('https://acme.flowlu.com/path', (url) => {
  if (url.hash) throw new Error('must be an address without #');
  return url.href;
});

export const databaseUrl: Parser<string> = {
  expects: 'postgres://user:password@host:5432/database, with @ : / ? # % in the password percent-encoded',
  read(text) {
    try {
      readTarget(text);
    } catch (error) {
      throw new Error(`must be an address such as ${databaseUrl.expects} (${(error as Error).message})`);
    }
    return text;
  },
};

export const proxyUrl: Parser<string> = {
  expects: 'an address such as http://proxy.example.com:3128',
  read(text) {
    try {
      const { href } = new URL('/', /^https?:\/\//i.test(text) ? text : `http://${text}`);
      passwordsIn(href);
      return href;
    } catch {
      throw new Error(`must be ${proxyUrl.expects}`);
    }
  },
};

/** True for a name or address that only this machine answers to. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

export const host = parser('a host name or an address', (text) =>
  /^[\w.:[\]-]+$/.test(text) ? text.replace(/^\[(.*)\]$/, '$1') : undefined,
);

export const networks = parser(
  'networks, comma-separated: 203.0.113.0/24, 2001:db8::/32, loopback, private',
  (text) => {
    const words = wordsOf(text.toLowerCase());
    if (words.length === 0) throw new Error('names no network, only commas');
    if (words.length > MAX_NETWORKS) throw new Error(`lists more than ${MAX_NETWORKS} networks`);
    return words.flatMap((word) => NAMED_NETWORKS.get(word) ?? [word]).map(networkOf);
  },
);

/** A range of addresses; `prefix` counts the leading bits that all of them share. */
function networkOf(word: string) {
  const [, address = '', digits] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/.exec(word) ?? [];
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const prefix = digits === undefined ? bits : Number(digits);
  if (version === 0 || prefix > bits) throw new Error(`${quoted(word)} is not a network; write ${networks.expects}`);
  return { address, prefix, family: version === 6 ? ('ipv6' as const) : ('ipv4' as const) };
}

export const origins = parser('origins such as https://acme.flowlu.com, comma-separated', (text) => {
  const list = wordsOf(text.toLowerCase()).map((origin) => origin.replace(/\/$/, ''));
  return list.every((origin) => ORIGIN.test(origin)) ? list : undefined;
});
