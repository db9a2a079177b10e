/** The pair of tokens as one sealed text, bound to the client that it was granted to. */
import { z } from 'zod';
import type { Cipher } from './cipher.ts';
import type { Tokens } from './endpoint.ts';

export type TokenPair = Pick<Tokens, 'access' | 'refresh'>;

const pair = z.object({ access: z.string(), refresh: z.string().nullable() });

const purpose = (clientId: string) => `tokens of ${clientId}`;

export function sealTokens(cipher: Cipher, clientId: string, { access, refresh }: TokenPair): string {
  return cipher.seal(JSON.stringify({ access, refresh }), purpose(clientId));
}

/** @throws SealError */
export function openTokens(cipher: Cipher, clientId: string, sealed: string): TokenPair {
  return pair.parse(JSON.parse(cipher.open(sealed, purpose(clientId))));
}
