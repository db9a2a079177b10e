/**
 * The settings that matter once the service can be reached by others: HTTPS, who may send, what is believed.
 * A part of the table in `index.ts`, with what holds between these settings.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import * as parse from './values.ts';

/** A range of addresses. */
export interface Network {
  readonly address: string;
  /** Leading bits that all of its addresses share. */
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

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

/** Addresses and ranges (`203.0.113.7`, `2001:db8::/32`), comma-separated; also the words `loopback` and `private`. */
export const networks = parse.text((value): readonly Network[] => {
  const words = value.split(',').map((word) => word.trim().toLowerCase());
  const named = words.filter((word) => word !== '').flatMap((word) => NAMED_NETWORKS.get(word) ?? [word]);
  if (named.length === 0) throw new Error('names no network, only commas');
  if (named.length > MAX_NETWORKS) throw new Error(`lists more than ${MAX_NETWORKS} networks`);
  return named.map(parseNetwork);
});

function parseNetwork(word: string): Network {
  const [, address = '', digits] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/.exec(word) ?? [];
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const prefix = digits === undefined ? bits : Number(digits);
  if (version === 0 || prefix > bits) {
    throw new Error(
      `"${word}" is not a network; write it like 203.0.113.0/24 or 2001:db8::/32, or use loopback or private`,
    );
  }
  return { address, prefix, family: version === 6 ? 'ipv6' : 'ipv4' };
}

const group = 'Webhooks and HTTP';

/** In the order of the documentation. */
export const exposureSettings = {
  TLS_CERT_FILE: {
    group,
    schema: parse.path.optional(),
    help: 'certificate with its chain (PEM), to speak HTTPS; read again when it changes',
  },
  TLS_KEY_FILE: { group, schema: parse.path.optional(), help: 'private key of the certificate (PEM)' },
  PLAIN_HTTP: {
    group,
    schema: z.enum(['private', 'anywhere'], { error: 'must be private or anywhere' }),
    default: 'private',
    help: 'private: without a certificate, listen on loopback and private addresses only; anywhere: a proxy in front speaks HTTPS',
  },
  WEBHOOK_ALLOW_FROM: {
    group,
    schema: networks.optional(),
    defaultNote: 'all networks',
    help: 'networks that webhooks may come from, comma-separated: 203.0.113.0/24, 2001:db8::/32, loopback, private',
  },
  TRUSTED_PROXIES: {
    group,
    schema: networks.optional(),
    help: 'networks of your own proxies, whose X-Forwarded-For is believed; written like WEBHOOK_ALLOW_FROM',
  },
  WEBHOOK_TRUST: {
    group,
    schema: z.enum(['body', 'verify'], { error: 'must be body or verify' }),
    default: 'body',
    help: 'body: what a webhook says is believed; verify: it is a hint only, and the record is read from the API first',
  },
} as const satisfies Record<string, parse.Setting>;

type Values = z.output<z.ZodObject<{ [K in keyof typeof exposureSettings]: (typeof exposureSettings)[K]['schema'] }>>;

/** What is wrong between settings that are each right by themselves. */
export function exposureProblems(
  values: Values & { readonly FLOWLU_API_KEY?: string | undefined; readonly FLOWLU_CLIENT_ID?: string | undefined },
): readonly { readonly name: string; readonly problem: string }[] {
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key, WEBHOOK_TRUST: trust } = values;
  return [
    ...(cert && !key ? [{ name: 'TLS_KEY_FILE', problem: 'is needed with TLS_CERT_FILE' }] : []),
    ...(key && !cert ? [{ name: 'TLS_CERT_FILE', problem: 'is needed with TLS_KEY_FILE' }] : []),
    ...(trust === 'verify' && !values.FLOWLU_API_KEY && !values.FLOWLU_CLIENT_ID
      ? [
          {
            name: 'FLOWLU_API_KEY',
            problem: 'or a login is needed with WEBHOOK_TRUST=verify, to read what a webhook hints at',
          },
        ]
      : []),
  ];
}

/** Certificate and key; null without HTTPS. */
export function tlsFiles({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }: Values) {
  return certFile === undefined || keyFile === undefined ? null : { certFile, keyFile };
}
