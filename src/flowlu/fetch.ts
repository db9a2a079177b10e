/** `fetch` for the portal: through a proxy where the settings name one, and patient with slow routes. */
import { EnvHttpProxyAgent, fetch } from 'undici';

/**
 * How long each address of the portal may take before the next one is tried. Node.js gives 250 ms, so that routes slower
 * than that fail as soon as there are several addresses; and an address without a route must not use up the whole time.
 */
const ADDRESS_MAX_MS = 2_000;
/** For all addresses of the portal together. */
const CONNECT_MAX_MS = 20_000;

let agent: EnvHttpProxyAgent | null = null;

/** Names the proxy to `https://`; what is not given here, the environment says in small letters. */
export function useProxy(httpsProxy?: string, noProxy?: string): void {
  agent = agentFor(httpsProxy, noProxy);
}

function agentFor(httpsProxy?: string, noProxy?: string) {
  return new EnvHttpProxyAgent({
    // Plain HTTP is for this machine only.
    httpProxy: '',
    ...(httpsProxy !== undefined && { httpsProxy }),
    ...(noProxy !== undefined && { noProxy }),
    connect: { timeout: CONNECT_MAX_MS, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ADDRESS_MAX_MS },
  });
}

/** As the global one, whose types differ in name only. */
export const portalFetch = ((url: string, options: object) => {
  agent ??= agentFor();
  return fetch(url, { ...options, dispatcher: agent });
}) as unknown as typeof globalThis.fetch;
