/** Tokens at rest: AES-256-GCM with keys that are not in the database. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';

/** What was sealed cannot be opened: with none of the keys, or because it was changed. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

export type Cipher = ReturnType<typeof createCipher>;

const ALGORITHM = 'aes-256-gcm';
const FORMAT = 'v1';
/** As GCM wants it; at random, since a refresh an hour is far from where two could collide. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A cipher that seals with the first key and opens with any of them. @param keys 32 bytes each. */
export function createCipher(keys: readonly Buffer[]) {
  const known = new Map(keys.map((key) => [nameOf(key), key]));
  const [first] = known;
  if (first === undefined) throw new RangeError('a cipher needs a key');
  const [name, key] = first;
  return {
    /** Seals a text for one purpose; opening it for another fails. */
    seal(text: string, purpose: string): string {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(`${FORMAT}.${name}.${purpose}`));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return `${FORMAT}.${name}.${Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url')}`;
    },
    /** @throws SealError */
    open(sealed: string, purpose: string): string {
      const [format, name = '', data = ''] = sealed.split('.');
      const key = known.get(name);
      if (format !== FORMAT) throw new SealError('what is stored was not sealed by this version of the program');
      if (key === undefined) throw new SealError('what is stored was sealed with a key that TOKEN_KEY does not list');
      const bytes = Buffer.from(data, 'base64url');
      try {
        const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
        decipher.setAAD(Buffer.from(`${FORMAT}.${name}.${purpose}`));
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
        return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
      } catch (error) {
        throw new SealError('what is stored has been changed, or belongs to something else', { cause: error });
      }
    },
    /** True when sealing it anew would use another key: it stems from before a rotation. */
    isOutdated: (sealed: string) => sealed.split('.')[1] !== name,
  };
}

/** Tells keys apart without telling anything about them: they are random, so no digest can be searched for. */
function nameOf(key: Buffer): string {
  return createHash('sha256').update('flowlu-mirror token key').update(key).digest('hex').slice(0, 8);
}

/** The pair of tokens as one sealed text, bound to the client that it was granted to. */
const pair = z.object({ access: z.string(), refresh: z.string().nullable() });

const purpose = (clientId: string) => `tokens of ${clientId}`;

export function sealTokens(cipher: Cipher, clientId: string, { access, refresh }: z.infer<typeof pair>): string {
  return cipher.seal(JSON.stringify({ access, refresh }), purpose(clientId));
}

/** @throws SealError */
export function openTokens(cipher: Cipher, clientId: string, sealed: string): z.infer<typeof pair> {
  return pair.parse(JSON.parse(cipher.open(sealed, purpose(clientId))));
}
