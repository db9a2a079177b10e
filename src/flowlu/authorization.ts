/** What authorizes a request: the API key, or credentials from another source such as OAuth. */
import { createRedactor, type Redact } from '../core/redact.ts';

export interface Credentials {
  /** Added to the query. */
  readonly query?: { readonly name: string; readonly value: string };
  /** The header `Authorization`. */
  readonly header?: string;
  /** Removes the secret from all messages about the exchange. */
  readonly redact: Redact;
}

/** Where a client gets its credentials. Asked before each request. */
export interface Authorization {
  /**
   * Credentials for the next request.
   * @throws FlowluError: of kind unauthorized if there are none, of another kind if there may be some soon
   * @throws the signal's reason
   */
  credentials(signal: AbortSignal): Promise<Credentials>;
  /** Called when the portal has accepted these credentials. */
  accepted(credentials: Credentials): void;
  /**
   * Called when the portal has refused these credentials. Resolves with true if there are new ones by now, so that the
   * request is worth repeating.
   */
  renew(refused: Credentials, signal: AbortSignal): Promise<boolean>;
}

/** The API key, the same for every request. @throws TypeError for an empty key */
export function apiKeyAuthorization(key: string): Authorization {
  if (key.trim() === '') throw new TypeError('the API key is empty');
  const credentials: Credentials = { query: { name: 'api_key', value: key }, redact: createRedactor([key]) };
  return { credentials: async () => credentials, accepted: () => {}, renew: async () => false };
}
