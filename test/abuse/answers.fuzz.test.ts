/** A portal that answers anything at all: the client ends, within its bounds, with a record or an error of its own kind. */
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { createRedactor } from '../../src/core/redact.ts';
import type { FlowluClient } from '../../src/flowlu/client.ts';
import { recordOf, responseOf, rowsOf } from '../../src/flowlu/envelope.ts';
import { FlowluError, ListingError, NotFoundError } from '../../src/flowlu/errors.ts';
import { listPages } from '../../src/listing/listing.ts';
import { ACCOUNT, failure, KEY, never, startPortal } from '../flowlu/portal.ts';

const redact = createRedactor([KEY]);

/** JSON in the words of the envelope, each in the wrong place as often as in the right one. */
const { envelope } = fc.letrec<{ envelope: unknown; leaf: unknown; object: unknown }>((tie) => ({
  envelope: fc.oneof(
    { maxDepth: 5 },
    tie('leaf'),
    tie('object'),
    tie('object'),
    fc.array(tie('envelope'), { maxLength: 5 }),
  ),
  object: fc.dictionary(
    fc.constantFrom(
      ...['response', 'error', 'error_code', 'error_msg', 'description', 'details', 'items', 'total', 'total_result'],
      ...['count', 'page', 'id', 'name', '0', '1', '2', '7', '__proto__', 'constructor', 'toString'],
    ),
    tie('envelope'),
    { maxKeys: 6, noNullPrototype: false },
  ),
  leaf: fc.oneof(
    fc.constantFrom(
      null,
      true,
      false,
      0,
      1,
      7,
      -1,
      20,
      11,
      13,
      22,
      30,
      31,
      1e21,
      '',
      '7',
      '20',
      'validation',
      `has ${KEY} in it`,
    ),
    fc.constantFrom('Too Many Requests', 'Access denied', 'x'.repeat(2_000), '\u0000\ud800'),
    fc.string(),
  ),
}));
const record = fc.record({ id: fc.constantFrom(7, '7', 8, null), name: envelope });
/** Right but for one thing, or for none. */
const nearlyRight = fc.oneof(
  record.map((response) => ({ response })),
  fc
    .array(record, { maxLength: 3 })
    .map((items) => ({ response: { items, total: items.length, count: items.length } })),
  fc.record({
    error: fc.record({ error_code: fc.constantFrom(20, '20', 11, 22, 999, null), error_msg: envelope }),
    response: envelope,
  }),
  fc.record({ error: envelope, description: envelope, response: record }),
);
const body = fc.oneof(
  { weight: 4, arbitrary: nearlyRight.map((value) => JSON.stringify(value)) },
  { weight: 5, arbitrary: envelope.map((value) => JSON.stringify(value) ?? '') },
  { weight: 1, arbitrary: envelope.map((value) => (JSON.stringify(value) ?? '').slice(0, -2)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      '<html>',
      'Too Many Requests',
      '['.repeat(5_000),
      '{"a":'.repeat(5_000),
      '1e999',
      '\ufeff{}',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
);
const answer = fc.record({
  status: fc.constantFrom(200, 200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 408, 429, 500, 502, 599),
  text: body,
  contentType: fc.constantFrom('application/json', 'text/html', '', `x/${KEY}`),
  retryAfterMs: fc.constantFrom(null, 0, 1e300),
  location: fc.constantFrom(null, '', 'http://other/', `//x/?api_key=${encodeURIComponent(KEY)}`, '::'),
});

describe('whatever a portal answers', () => {
  it('is understood as rows or a record, or refused with an error that is bounded and holds no key', () => {
    let understood = 0;
    let absent = 0;
    fc.assert(
      fc.property(answer, fc.boolean(), (given, filtered) => {
        try {
          const response = responseOf(given, 'GET /x', redact);
          try {
            const { items } = rowsOf(response, filtered, 'GET /x');
            expect(items.every((item) => typeof item === 'object' && item !== null && !Array.isArray(item))).toBe(true);
          } catch (error) {
            if (!(error instanceof FlowluError)) throw error;
          }
          expect(String(recordOf(response, '7', 'GET /x').id)).toBe('7');
          understood += 1;
        } catch (error) {
          if (!(error instanceof FlowluError)) throw error;
          expect(error.message.length).toBeLessThan(400);
          expect(error.message).not.toContain(KEY);
          expect(error.message).not.toContain(encodeURIComponent(KEY));
          // The one kind that may bury a row: only where the portal said 20, on a server that works.
          if (error.kind === 'not_found') {
            expect(error.code).toBe(20);
            expect(given.status < 500 && ![302, 401, 403, 408, 429].includes(given.status)).toBe(true);
            absent += 1;
          }
        }
      }),
      { numRuns: 2_000 },
    );
    expect(understood).toBeGreaterThan(5);
    expect(absent).toBeGreaterThan(0);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it('over the wire, bytes and compression that are no such thing included, ends in one of the two as well', async () => {
    const shapes = fc.record({
      answer,
      encoding: fc.constantFrom('', '', 'gzip', 'br', 'deflate', 'identity', 'nonsense'),
      junk: fc.uint8Array({ maxLength: 50 }),
      isJunk: fc.boolean(),
    });
    let next: (typeof shapes extends fc.Arbitrary<infer T> ? T : never) | undefined;
    await using portal = await startPortal((_request, response) => {
      const { status = 200, text = '' } = next?.answer ?? {};
      const headers = next?.encoding ? { 'content-encoding': next.encoding } : {};
      response.writeHead(status, headers);
      response.end(status === 204 ? undefined : next?.isJunk ? next.junk : text);
    });
    await fc.assert(
      fc.asyncProperty(shapes, async (shape) => {
        next = shape;
        // A new one each time: after "too many requests" a client rests for seconds.
        const client = portal.client({ retry: { attempts: 1 }, timeoutMs: 200 });
        const error = await client.get(ACCOUNT, '7', never()).then(
          () => null,
          (thrown: unknown) => thrown,
        );
        if (error === null) return;
        expect(error).toBeInstanceOf(FlowluError);
        expect(String((error as Error).message)).not.toContain(KEY);
        if (error instanceof NotFoundError) expect(shape.isJunk).toBe(false);
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  it.each([
    ['gzip', (data: Buffer) => gzipSync(data)],
    ['br', (data: Buffer) => brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
  ])('is not unpacked beyond the bound: a %s bomb', async (encoding, pack) => {
    const bomb = pack(Buffer.alloc(64 * 1024 ** 2, 0x20));
    await using portal = await startPortal((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding });
      response.end(bomb);
    });
    let unpacked = 0;
    const counting: typeof fetch = async (...asked) => {
      const answer = await fetch(...asked);
      const count = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          unpacked += chunk.byteLength;
          controller.enqueue(chunk);
        },
      });
      return new Response(answer.body?.pipeThrough(count) ?? null, { status: answer.status, headers: answer.headers });
    };
    const client = portal.client({ retry: { attempts: 1 }, maxBodyBytes: 1024 ** 2, fetch: counting });
    const errors = await Promise.all(Array.from({ length: 10 }, () => failure(client.get(ACCOUNT, '7', never()))));
    for (const error of errors) expect(error.message).toContain('larger than 1048576 bytes');
    expect(unpacked).toBeLessThan(10 * 4 * 1024 ** 2);
  });
});

describe('a listing', () => {
  it('ends within its requests whatever the pages hold, and only ever with an error of its own', async () => {
    const ids = fc.oneof(
      fc.integer({ min: -5, max: 300 }),
      fc.constantFrom('7', ' 8 ', 'x', null, 1.5, 1e20, undefined, '9223372036854775808'),
    );
    const page = fc.record({
      items: fc.array(fc.record({ id: ids }, { requiredKeys: [] }), { maxLength: 12 }),
      total: fc.constantFrom(null, 0, 5, 12, 1e9),
      ordered: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(page), async (pages) => {
        let requests = 0;
        const client: FlowluClient = {
          async list() {
            requests += 1;
            const given = pages.next().value as { items: JsonObject[]; total: number | null; ordered: boolean };
            return { ...given, observedAt: requests, requests: 1 };
          },
          get: () => Promise.reject(new Error('a listing asks for lists')),
        };
        const listing = listPages(client, ACCOUNT, { pageSize: 10, signal: never(), maxRequests: 40 });
        try {
          for (;;) {
            const step = await listing.next();
            if (step.done) break;
            for (const { id } of step.value.items) expect(String(id)).toMatch(/^\s*-?\d+\s*$/);
          }
        } catch (error) {
          if (!(error instanceof ListingError || error instanceof FlowluError)) throw error;
        }
        expect(requests).toBeLessThanOrEqual(40);
      }),
      { numRuns: 800 },
    );
  });
});
