/** Parsers of the settings: one variable's text → its value, or a message that says what is wrong and what to do. */
import { resolve } from 'node:path';
import ms, { type StringValue } from 'ms';
import { z } from 'zod';

/** Which models to mirror: those that match an `include` (or all, when there is none) and no `exclude`. */
export interface ModelPatterns {
  /** `module.model` or `module.*`, in lower case. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** Characters; shorter secrets work, and `serve` warns that they can be guessed. */
export const ADVISED_SECRET_LENGTH = 16;
const MAX_WEBHOOK_SECRETS = 10;

/** One row of the table of settings. */
export interface Setting<S extends z.ZodType = z.ZodType> {
  readonly group: string;
  readonly schema: S;
  /** The text that counts when nothing is set. */
  readonly default?: string;
  /** What help shows where there is no default text. */
  readonly defaultNote?: string;
  /** Also readable from the file that `NAME_FILE` names; never shown. */
  readonly secret?: true;
  readonly help: string;
}

/** A parser of one variable's text; `parse` throws an Error whose message says what is wrong and what to do. */
export function text<T>(parse: (value: string) => T): z.ZodType<T, string> {
  return z.string().transform((value, context) => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });
}

/** A length of time in milliseconds. A bare number is refused because nobody can tell its unit. */
export function duration(bounds: { readonly min: StringValue; readonly max: StringValue; readonly zero?: true }) {
  const { min, max, zero } = bounds;
  return text((value) => {
    if (zero && /^0+\s*[a-z]*$/i.test(value)) return 0;
    const millis = /^[\d.]+\s*[a-z]+$/i.test(value) ? ms(value as StringValue) : undefined;
    if (millis === undefined) throw new Error(`"${value}" is not a duration; write a number and a unit, such as 5m`);
    if (millis < ms(min) || millis > ms(max)) {
      throw new Error(`${value} is out of bounds; use ${zero ? '0 or ' : ''}${min} to ${max}`);
    }
    return Math.round(millis);
  });
}

export function number(bounds: { readonly min: number; readonly max: number; readonly whole?: true }) {
  const { min, max, whole } = bounds;
  return text((value) => {
    const parsed = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
    if (!(parsed >= min && parsed <= max) || (whole && !Number.isInteger(parsed))) {
      throw new Error(`"${value}" must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}`);
    }
    return parsed;
  });
}

/** A size in bytes: `1048576`, `512kb` or `1mb` (powers of 1,024). */
export function size(bounds: { readonly min: number; readonly max: number }) {
  return text((value) => {
    const [, digits, unit = ''] = /^(\d+)\s*(k|m|)i?b?$/i.exec(value) ?? [];
    const bytes = Number(digits) * { '': 1, k: 1024, m: 1024 ** 2 }[unit.toLowerCase() as '' | 'k' | 'm'];
    if (!(bytes >= bounds.min && bytes <= bounds.max)) {
      throw new Error(
        `"${value}" must be a size from ${bounds.min} bytes to ${bounds.max} bytes, such as 512kb or 1mb`,
      );
    }
    return bytes;
  });
}

/** A secret that has to survive an HTTP header: printable ASCII without spaces. */
export const token = text((value) => {
  if (!/^[\x21-\x7e]+$/.test(value)) throw new Error('holds a space, a line break or a character outside of ASCII');
  return value;
});

export const webhookSecrets = text((value): readonly string[] => {
  const secrets = [...new Set(value.split(',').map((secret) => secret.trim()))].filter((secret) => secret !== '');
  const position = (index: number) => (secrets.length > 1 ? `secret ${index + 1} of ${secrets.length} ` : '');
  if (secrets.length > MAX_WEBHOOK_SECRETS) throw new Error(`lists more than ${MAX_WEBHOOK_SECRETS} secrets`);
  for (const [index, secret] of secrets.entries()) {
    const advice = 'make one with: openssl rand -hex 24';
    // It is a segment of the URL's path, so `/`, `?`, `#`, `%` and spaces would not arrive as written.
    if (!/^[\w.~!$*+=:@-]+$/.test(secret)) {
      throw new Error(`${position(index)}holds a character that a URL path cannot carry as it is; ${advice}`);
    }
  }
  if (secrets.length === 0) throw new Error('holds no secret, only commas');
  return secrets;
});

export const databaseUrl = text((value) => {
  const example = 'postgres://user:password@host:5432/database';
  if (!/^postgres(ql)?:\/\//.test(value)) throw new Error(`must look like ${example}`);
  // A list of hosts, which PostgreSQL allows, is more than URL can parse: look at the first host only.
  const single = value.replace(/(^[^?]*?\/\/([^/?@]*@)?[^/?@,]*),[^/?@]*/, '$1');
  if (!URL.canParse(single) || !isDecodable(new URL(single).password)) {
    throw new Error(`is not a URL; it must look like ${example}, with @ : / ? # % in the password percent-encoded`);
  }
  return value;
});

/** Takes `acme`; also `acme.flowlu.com` or the portal's address, because that is what people paste. */
export const company = text((value) => {
  const pasted = /^(?:https?:\/\/)?([^./?#]+)\.flowlu\.com(?:[/?#].*)?$/is.exec(value)?.[1];
  const label = (pasted ?? value).toLowerCase();
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) return label;
  const elsewhere = value.includes('.') ? '; for a host outside of flowlu.com set FLOWLU_BASE_URL' : '';
  throw new Error(`must be the sub-domain alone: for https://acme.flowlu.com write acme${elsewhere}`);
});

export const baseUrl = text((value) => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new Error('is not a web address; write it like https://acme.flowlu.com/api/v1/module');
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Error('must be an address alone, without user, ? or #; the key belongs into FLOWLU_API_KEY');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new Error('must begin with https:// because the key travels in it (http:// is for loopback only)');
  }
  return url.href.replace(/\/+$/, '');
});

/**
 * An address over which secrets may travel: https, or http on loopback.
 * @throws Error for any other, with an example of how it should look.
 */
export function secureUrl(value: string, example: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error(`is not a web address; write it like ${example}`);
  if (url.username || url.password) throw new Error('must be an address without a user');
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new Error('must begin with https:// (http:// is for loopback only)');
  }
  return url;
}

function isDecodable(encoded: string): boolean {
  try {
    decodeURIComponent(encoded);
    return true;
  } catch {
    return false;
  }
}

/** True for a name or address that only this machine answers to. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

export const timezone = text((value) => {
  try {
    // Offsets such as +03:00 are refused: PostgreSQL reads their sign the other way round.
    if (!/^[a-z]/i.test(value)) throw new RangeError('not a name');
    new Intl.DateTimeFormat('en', { timeZone: value });
  } catch {
    throw new Error(`"${value}" is not a known time zone; use an IANA name such as Europe/Berlin`);
  }
  return value;
});

export const host = text((value) => {
  if (!/^[\w.:[\]-]+$/.test(value)) throw new Error(`"${value}" is not a host name or address`);
  return value.replace(/^\[(.*)\]$/, '$1');
});

/** The path of a file, made absolute. */
export const path = text((value) => resolve(value));

/**
 * Reads patterns, as `FLOWLU_MODELS` and the commands' model arguments spell them.
 * @throws Error when one has another shape than `module.model`, `module.*`, or either after a `!`.
 */
export function parseModelPatterns(words: readonly string[]): ModelPatterns {
  const patterns = words.map((word) => word.trim().toLowerCase()).filter((word) => word !== '');
  const odd = patterns.find((pattern) => !/^!?[a-z0-9_]+\.([a-z0-9_]+|\*)$/.test(pattern));
  if (odd !== undefined) throw new Error(`"${odd}" is not module.model or module.*, with or without a leading !`);
  return Object.freeze({
    include: Object.freeze(patterns.filter((pattern) => !pattern.startsWith('!'))),
    exclude: Object.freeze(patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1))),
  });
}

export const modelPatterns = text((value) => parseModelPatterns(value.split(',')));

/** True when the patterns ask for the model, named `module.model`. */
export function matchesModel(patterns: ModelPatterns, name: string): boolean {
  const { include, exclude } = patterns;
  const covers = (pattern: string) => covered(pattern, name);
  return (include.length === 0 || include.some(covers)) && !exclude.some(covers);
}

/** The patterns that match none of the names: most likely typing mistakes. */
export function unknownModels(patterns: ModelPatterns, names: readonly string[]): readonly string[] {
  return [...patterns.include, ...patterns.exclude].filter((pattern) => !names.some((name) => covered(pattern, name)));
}

function covered(pattern: string, name: string): boolean {
  return pattern.endsWith('.*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
