/** Parsers of secrets. Their errors never show the value. */
import type { Parser } from './parsers.ts';

/** Characters; shorter ones can be guessed. */
const MIN_LENGTH = 16;
/** Characters of the key that hashes are made with: values such as phone numbers are few enough to be tried out. */
const MIN_HASH_SECRET_LENGTH = 32;
const MAX_IN_LIST = 10;
const KEY_BYTES = 32;
const MAKE_ONE = 'make one with: openssl rand -hex 32';

/** A secret that has to survive an HTTP header: printable ASCII without spaces. */
export const token: Parser<string> = {
  expects: '',
  read(text) {
    if (!/^[\x21-\x7e]+$/.test(text)) throw new Error('holds a space, a line break or a character outside of ASCII');
    return text;
  },
};

/** A token that we make, not the portal. */
export const ownToken: Parser<string> = {
  expects: `${MIN_LENGTH} characters or more`,
  read: (text) => longEnough(token.read(text), MIN_LENGTH),
};

export const hashSecret: Parser<string> = {
  expects: `${MIN_HASH_SECRET_LENGTH} characters or more`,
  read: (text) => longEnough(text, MIN_HASH_SECRET_LENGTH),
};

function longEnough(secret: string, min: number): string {
  if (secret.length < min) throw new Error(`has fewer than ${min} characters and can be guessed; ${MAKE_ONE}`);
  return secret;
}

export const webhookSecrets = list(
  `${MIN_LENGTH} characters or more; several, comma-separated, while one replaces another`,
  (secret) => {
    // It is a segment of the URL's path, so `/`, `?`, `#`, `%` and spaces would not arrive as written.
    if (!/^[\w.~!$*+=:@-]+$/.test(secret)) {
      throw new Error(`holds a character that a URL path cannot carry as it is; ${MAKE_ONE}`);
    }
    longEnough(secret, MIN_LENGTH);
  },
);

export const tokenKeys = list(
  `${KEY_BYTES} bytes in hex or base64; several, comma-separated, while one replaces another: the first encrypts`,
  (key) => {
    if (decodeTokenKey(key) === null) throw new Error(`is not ${KEY_BYTES} bytes; ${MAKE_ONE}`);
  },
);

/** @param check throws for a secret that cannot be used */
function list(expects: string, check: (secret: string) => void): Parser<readonly string[]> {
  return {
    expects,
    read(text) {
      const secrets = partsOf(text);
      if (secrets.length === 0) throw new Error('holds no secret, only commas');
      if (secrets.length > MAX_IN_LIST) throw new Error(`lists more than ${MAX_IN_LIST} secrets`);
      for (const [index, secret] of secrets.entries()) {
        try {
          check(secret);
        } catch (error) {
          const position = secrets.length > 1 ? `(number ${index + 1} of ${secrets.length}) ` : '';
          throw new Error(`${position}${(error as Error).message}`, { cause: error });
        }
      }
      return secrets;
    },
  };
}

function partsOf(text: string): readonly string[] {
  return [...new Set(text.split(',').map((part) => part.trim()))].filter((part) => part !== '');
}

/** The bytes of a key, written as 64 hexadecimal digits or in base64; null for anything else. */
export function decodeTokenKey(text: string): Buffer | null {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === KEY_BYTES ? bytes : null;
}

/** What the pages of the first versions showed in place of a secret. */
const FORMER_PLACEHOLDERS = ['the-key', 'a-long-random-word'];

/** True when a value, or one of a list, was copied from our pages without being replaced. */
export function isPlaceholder(text: string, own: string | undefined): boolean {
  return partsOf(text).some((part) => part === own || /change-me|…/.test(part) || FORMER_PLACEHOLDERS.includes(part));
}
