/** By what right a request is sent: the API key, or whatever else a source of credentials comes up with. */
import { createRedactor, type Redact } from '../core/redact.ts';

/** What one request carries to be let in. */
export interface Credentials {
  /** Goes into the query. */
  readonly query?: { readonly name: string; readonly value: string };
  /** Goes into the header `Authorization`. */
  readonly header?: string;
  /** Masks the secret in whatever the exchange has to say. */
  readonly redact: Redact;
}

/** Where a client has its credentials from; asked before each request. */
export interface Authorization {
  /**
   * What to send with the next request.
   * @throws FlowluError of kind unauthorized when there is nothing to send, of another kind when there may be soon;
   *   the signal's reason.
   */
  credentials(signal: AbortSignal): Promise<Credentials>;
  /** Told that the portal has accepted these. */
  accepted(credentials: Credentials): void;
  /**
   * Told that the portal did not accept these; resolves with true when others are there now, and the request is
   * worth sending once more.
   */
  renew(refused: Credentials, signal: AbortSignal): Promise<boolean>;
}

/** The API key, on every request and for ever. @throws TypeError for an empty key. */
export function apiKeyAuthorization(key: string): Authorization {
  if (key.trim() === '') throw new TypeError('the API key is empty');
  const credentials: Credentials = { query: { name: 'api_key', value: key }, redact: createRedactor([key]) };
  return { credentials: async () => credentials, accepted: () => {}, renew: async () => false };
}
