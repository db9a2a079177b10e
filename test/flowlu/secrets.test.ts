import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createRedactor, safeCause } from '../../src/core/redact.ts';
import { ACCOUNT, answer, failure, KEY, never, rows, startPortal } from './portal.ts';

const SPELLINGS = [KEY, encodeURIComponent(KEY), new URLSearchParams({ k: KEY }).toString().slice(2)];

/** Everything that a logger could find in an error, hidden properties and causes included. */
function everything(error: unknown): string {
  const seen: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    seen.push(at.message, String(at.stack), String(at), inspect(at, { showHidden: true, depth: 10 }));
    for (const name of Object.getOwnPropertyNames(at)) seen.push(inspect(Reflect.get(at, name), { depth: 10 }));
  }
  return seen.join('\n');
}

function expectClean(error: unknown): void {
  for (const spelling of SPELLINGS) expect(everything(error)).not.toContain(spelling);
  expect(everything(error)).not.toMatch(/api_key=(?!\[redacted\])/);
}

describe('the key', () => {
  it('never follows a redirect', async () => {
    await using elsewhere = await startPortal(rows(1));
    for (const status of [301, 302, 303, 307, 308]) {
      await using portal = await startPortal((request, response, url) =>
        answer(status, '', { location: `${elsewhere.origin}/login?from=${encodeURIComponent(url.href)}` })(
          request,
          response,
          url,
        ),
      );
      const thrown = await failure(portal.client().list(ACCOUNT, {}, never()));
      expect(thrown).toMatchObject({ kind: 'protocol', status });
      expect(thrown.message).toContain(elsewhere.origin);
      expect(portal.urls).toHaveLength(1);
      expectClean(thrown);
    }
    expect(elsewhere.urls).toHaveLength(0);
  });

  it('is masked where the portal repeats it', async () => {
    const echoes = [
      answer(200, { error: { error_code: 11, error_msg: `key ${KEY} not found` } }),
      answer(500, { error: `failed: ?api_key=${encodeURIComponent(KEY)}&x=1` }),
      answer(200, `<html>${KEY}`, { 'content-type': `text/html; x="${KEY}"` }),
    ];
    for (const echo of echoes) {
      await using portal = await startPortal(echo);
      expectClean(await failure(portal.client().list(ACCOUNT, {}, never())));
    }
  });

  it('is in no error of the network', async () => {
    await using portal = await startPortal((request) => request.socket.destroy());
    const thrown = await failure(portal.client().list(ACCOUNT, {}, never()));
    expect(thrown).toMatchObject({ kind: 'network' });
    expect(thrown.cause).toBeInstanceOf(Error);
    expectClean(thrown);
    const refused = await failure(
      portal.client({ baseUrl: 'http://127.0.0.1:1/api', retry: { attempts: 1 } }).list(ACCOUNT, {}, never()),
    );
    expect(refused).toMatchObject({ kind: 'network' });
    expectClean(refused);
  });

  it('is in no error of an HTTP stack that puts whole addresses into its causes', async () => {
    await using portal = await startPortal(rows());
    const leaky = async (url: unknown) => {
      const cause = Object.assign(new Error(`connect failed for ${String(url)}`), { input: url, code: 'ECONNRESET' });
      throw Object.assign(new TypeError('fetch failed', { cause }), { request: { url } });
    };
    const thrown = await failure(
      portal.client({ fetch: leaky as typeof fetch, retry: { attempts: 1 } }).get(ACCOUNT, '1', never()),
    );
    expect(thrown.message).toContain('connect failed');
    expect((thrown.cause as Error).cause).toMatchObject({ code: 'ECONNRESET' });
    expectClean(thrown);
  });

  it('is masked in every spelling, and a cycle of causes ends', () => {
    const redact = createRedactor([KEY]);
    for (const spelling of SPELLINGS) expect(redact(`<${spelling}>`)).toBe('<[redacted]>');
    expect(redact('a?api_key=other&b=1')).toBe('a?api_key=[redacted]&b=1');
    const cyclic = new Error('x');
    cyclic.cause = cyclic;
    expect(safeCause(cyclic, redact)).toBeInstanceOf(Error);
    expect(safeCause(`thrown ${KEY}`, redact).message).toBe('thrown [redacted]');
  });
});
