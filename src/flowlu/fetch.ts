/** `fetch` for the portal: uses a proxy if the settings name one, and tolerates slow routes. */

/**
 * How long each address of the portal may take before the next is tried. Node.js allows 250 ms, so slower routes fail
 * if there are several addresses; and an address without a route must not use up the whole time.
 */
const ADDRESS_MAX_MS = 2_000;
/** For all addresses of the portal together. */
const CONNECT_MAX_MS = 20_000;

let proxy: { readonly httpsProxy?: string; readonly noProxy?: string } = {};
let sending: Promise<typeof globalThis.fetch> | null = null;

/** Sets the proxy for `https://`. Missing values come from the lower-case environment variables. */
export function useProxy(httpsProxy?: string, noProxy?: string): void {
  proxy = { ...(httpsProxy !== undefined && { httpsProxy }), ...(noProxy !== undefined && { noProxy }) };
  sending = null;
}

/** Loaded on first use, since most commands send nothing to the portal. */
async function load() {
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({
    // Plain HTTP is only used for this machine.
    httpProxy: '',
    ...proxy,
    connect: { timeout: CONNECT_MAX_MS, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ADDRESS_MAX_MS },
  });
  // Its types differ only in name.
  return ((url: string, options: object) =>
    fetch(url, { ...options, dispatcher })) as unknown as typeof globalThis.fetch;
}

export const portalFetch: typeof fetch = async (url, options) => {
  sending ??= load();
  return (await sending)(url, options);
};
