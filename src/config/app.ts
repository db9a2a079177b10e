/**
 * The settings of the custom app: where others reach the service, what its manifest says, and OAuth.
 * A part of the table in `index.ts`, with what holds between these settings.
 */
import type { z } from 'zod';
import * as parse from './values.ts';

/** A scope code for models whose code the catalogue does not know, or knows wrongly. */
export interface ScopeRule {
  /** `module.model` or `module.*`, in lower case. */
  readonly pattern: string;
  /** Without its level; null for models that need no scope of their own. */
  readonly code: string | null;
}

const MAX_TOKEN_KEYS = 10;
const KEY_BYTES = 32;
const CODE = /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/;
/** `https://host`, perhaps with a port or `*.` in front; nothing that could end or extend a header. */
const ORIGIN =
  /^https:\/\/(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?$|^http:\/\/(localhost|127(\.\d{1,3}){3})(:\d{1,5})?$/;

const publicUrl = parse.text((value) => {
  const url = parse.secureUrl(value, 'https://mirror.example.com');
  if (url.search || url.hash) throw new Error('must be an address without ? and #');
  return url.href.replace(/\/+$/, '');
});

/** OAuth allows an endpoint to have a query of its own, which stays. */
const endpoint = parse.text((value) => {
  const url = parse.secureUrl(value, 'https://acme.flowlu.com/path');
  if (url.hash) throw new Error('must be an address without #');
  return url.href;
});

const tokenKeys = parse.text((value): readonly string[] => {
  const keys = words(value);
  if (keys.length === 0 || keys.length > MAX_TOKEN_KEYS) throw new Error(`must list 1 to ${MAX_TOKEN_KEYS} keys`);
  for (const [index, key] of keys.entries()) {
    if (decodeTokenKey(key) === null) {
      throw new Error(
        `key ${index + 1} of ${keys.length} is not ${KEY_BYTES} bytes; make one with: openssl rand -hex 32`,
      );
    }
  }
  return keys;
});

/** The bytes of a key, written as 64 hexadecimal digits or in base64; null for anything else. */
export function decodeTokenKey(text: string): Buffer | null {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === KEY_BYTES ? bytes : null;
}

const scopeRules = parse.text((value): readonly ScopeRule[] =>
  words(value).map((word) => {
    const [pattern = '', code = ''] = word.toLowerCase().split('=', 2);
    if (!/^[a-z0-9_]+\.([a-z0-9_]+|\*)$/.test(pattern) || !(code === '-' || CODE.test(code))) {
      throw new Error(`"${word}" is not module.model=code or module.*=code; a - for the code means none`);
    }
    if (/\.(read|full)$/.test(code)) throw new Error(`"${word}": leave out the level, the mirror only ever reads`);
    return { pattern, code: code === '-' ? null : code };
  }),
);

const origins = parse.text((value): readonly string[] => {
  const list = words(value.toLowerCase()).map((origin) => origin.replace(/\/$/, ''));
  const odd = list.find((origin) => !ORIGIN.test(origin));
  if (odd !== undefined) throw new Error(`"${odd}" is not an origin such as https://acme.flowlu.com`);
  return list;
});

const appId = parse.text((value) => {
  if (!/^[a-z0-9]+([._-][a-z0-9]+)*$/i.test(value)) throw new Error('must look like com.example.mirror');
  return value;
});

const line = parse.text((value) => {
  if (value.length > 200 || /\p{Cc}/u.test(value)) throw new Error('must be one line of 200 characters at most');
  return value;
});

function words(value: string): readonly string[] {
  return [...new Set(value.split(/[,\s]+/).filter((word) => word !== ''))];
}

const group = 'Custom app';

/** In the order of the documentation. */
export const appSettings = {
  PUBLIC_URL: {
    group,
    schema: publicUrl.optional(),
    help: 'address under which Flowlu and browsers reach this service, for the manifest and for logging in',
  },
  APP_ID: {
    group,
    schema: appId.optional(),
    defaultNote: 'the host of PUBLIC_URL, backwards',
    help: 'appId of the manifest',
  },
  APP_CONTACT: {
    group,
    schema: line.optional(),
    defaultNote: 'the value of PUBLIC_URL',
    help: 'whom the manifest names as contact of the author: an e-mail address or a page',
  },
  APP_SCOPES: {
    group,
    schema: scopeRules.optional(),
    defaultNote: 'as in the catalogue',
    help: 'scope codes that differ from the catalogue: module.model=code or module.*=code, comma-separated; - means none',
  },
  APP_FRAME_ANCESTORS: {
    group,
    schema: origins.optional(),
    defaultNote: 'the origin of the portal',
    help: 'origins, comma-separated, whose pages may show /app in a frame',
  },
  FLOWLU_CLIENT_ID: {
    group,
    schema: parse.token.optional(),
    help: 'client id of the app, to log in by OAuth instead of FLOWLU_API_KEY; never set both',
  },
  FLOWLU_CLIENT_SECRET: {
    group,
    schema: parse.token.optional(),
    secret: true,
    help: 'client secret of the app, where it has one',
  },
  FLOWLU_OAUTH_AUTHORIZE_URL: {
    group,
    schema: endpoint.optional(),
    help: 'page on which a user allows the app; parameters that the portal wants besides may stand in its query',
  },
  FLOWLU_OAUTH_TOKEN_URL: {
    group,
    schema: endpoint.optional(),
    help: 'address at which codes and refresh tokens are exchanged',
  },
  FLOWLU_OAUTH_REDIRECT_URL: {
    group,
    schema: endpoint.optional(),
    defaultNote: '{PUBLIC_URL}/oauth/callback',
    help: 'where the portal sends the browser back to, exactly as the app has it; on a loopback address `login` listens there itself',
  },
  TOKEN_KEY: {
    group,
    schema: tokenKeys.optional(),
    secret: true,
    help: 'key that encrypts stored tokens, 32 bytes in hex or base64; several, comma-separated, while it is rotated: the first encrypts',
  },
} as const satisfies Record<string, parse.Setting>;

type Values = z.output<z.ZodObject<{ [K in keyof typeof appSettings]: (typeof appSettings)[K]['schema'] }>>;
type AllValues = Values & {
  readonly FLOWLU_API_KEY?: string | undefined;
  readonly FLOWLU_COMPANY?: string | undefined;
  readonly FLOWLU_BASE_URL?: string | undefined;
};

/** What is wrong between settings that are each right by themselves. */
export function appProblems(values: AllValues): readonly { readonly name: string; readonly problem: string }[] {
  if (values.FLOWLU_CLIENT_ID === undefined) return [];
  const problems: { name: string; problem: string }[] = [];
  const needs = (name: string, isMissing: boolean, why: string) => {
    if (isMissing) problems.push({ name, problem: `is needed with FLOWLU_CLIENT_ID, ${why}` });
  };
  if (values.FLOWLU_API_KEY !== undefined) {
    problems.push({ name: 'FLOWLU_CLIENT_ID', problem: 'is set together with FLOWLU_API_KEY; unset one of them' });
  }
  needs('FLOWLU_OAUTH_AUTHORIZE_URL', values.FLOWLU_OAUTH_AUTHORIZE_URL === undefined, 'to log in');
  needs('FLOWLU_OAUTH_TOKEN_URL', values.FLOWLU_OAUTH_TOKEN_URL === undefined, 'to get tokens');
  needs('TOKEN_KEY', values.TOKEN_KEY === undefined, 'since tokens are stored encrypted only: openssl rand -hex 32');
  const hasRedirect = values.FLOWLU_OAUTH_REDIRECT_URL ?? values.PUBLIC_URL;
  needs('PUBLIC_URL', hasRedirect === undefined, 'or FLOWLU_OAUTH_REDIRECT_URL, to come back from logging in');
  const hasPortal = values.FLOWLU_COMPANY ?? values.FLOWLU_BASE_URL;
  needs('FLOWLU_COMPANY', hasPortal === undefined, 'to know which portal to read');
  return problems;
}

/** How to log in by OAuth. */
export interface OAuthConfig {
  readonly clientId: string;
  /** Null for an app without a secret. */
  readonly clientSecret: string | null;
  readonly authorizeUrl: string;
  readonly tokenUrl: string;
  readonly redirectUrl: string;
  /** The first encrypts, all decrypt; see `decodeTokenKey`. */
  readonly tokenKeys: readonly string[];
}

/** What `values` say about OAuth; null without it. `appProblems` has found nothing. */
export function oauthConfig(values: Values): OAuthConfig | null {
  const { FLOWLU_CLIENT_ID: clientId, FLOWLU_OAUTH_AUTHORIZE_URL, FLOWLU_OAUTH_TOKEN_URL, TOKEN_KEY } = values;
  if (clientId === undefined) return null;
  return {
    clientId,
    clientSecret: values.FLOWLU_CLIENT_SECRET ?? null,
    authorizeUrl: FLOWLU_OAUTH_AUTHORIZE_URL ?? '',
    tokenUrl: FLOWLU_OAUTH_TOKEN_URL ?? '',
    redirectUrl: values.FLOWLU_OAUTH_REDIRECT_URL ?? `${values.PUBLIC_URL}/oauth/callback`,
    tokenKeys: TOKEN_KEY ?? [],
  };
}

/** What `values` say about the app. */
export function appConfig(values: Values) {
  return {
    /** Without a trailing slash; null where nobody has said. */
    publicUrl: values.PUBLIC_URL ?? null,
    /** Null: made from the public address. */
    id: values.APP_ID ?? null,
    /** Null: the public address. */
    contact: values.APP_CONTACT ?? null,
    scopes: values.APP_SCOPES ?? [],
    /** Null: the origin of the portal. */
    frameAncestors: values.APP_FRAME_ANCESTORS ?? null,
  };
}
