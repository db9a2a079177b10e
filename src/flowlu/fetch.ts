/** `fetch` for the portal: through a proxy where the settings name one, and patient with slow routes. */

/**
 * How long each address of the portal may take before the next one is tried. Node.js gives 250 ms, so that routes slower
 * than that fail as soon as there are several addresses; and an address without a route must not use up the whole time.
 */
const ADDRESS_MAX_MS = 2_000;
/** For all addresses of the portal together. */
const CONNECT_MAX_MS = 20_000;

let proxy: { readonly httpsProxy?: string; readonly noProxy?: string } = {};
let sending: Promise<typeof globalThis.fetch> | null = null;

/** Names the proxy to `https://`; what is not given here, the environment says in small letters. */
export function useProxy(httpsProxy?: string, noProxy?: string): void {
  proxy = { ...(httpsProxy !== undefined && { httpsProxy }), ...(noProxy !== undefined && { noProxy }) };
  sending = null;
}

/** Loaded when it is first needed: most commands ask the portal nothing. */
async function load() {
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({
    // Plain HTTP is for this machine only.
    httpProxy: '',
    ...proxy,
    connect: { timeout: CONNECT_MAX_MS, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ADDRESS_MAX_MS },
  });
  // Its types differ in name only.
  return ((url: string, options: object) =>
    fetch(url, { ...options, dispatcher })) as unknown as typeof globalThis.fetch;
}

/** As the global one. */
export const portalFetch: typeof fetch = async (url, options) => {
  sending ??= load();
  return (await sending)(url, options);
};
