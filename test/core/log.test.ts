import { describe, expect, test } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { createRedactor } from '../../src/core/redact.ts';

/** A logger that keeps its lines. */
function capture(secrets: readonly string[] = []) {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', version: '1.2.3', secrets, stream: { write: (line) => lines.push(line) } });
  return { log, lines, only: () => JSON.parse(lines.join('')) };
}

test('a line is JSON with level, time, service and version', () => {
  const { log, only } = capture();
  log.child({ model: 'crm.account' }).warn({ rows: 3 }, 'merged %d', 3);
  expect(only()).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    service: 'flowlu-mirror',
    version: '1.2.3',
    model: 'crm.account',
    rows: 3,
    msg: 'merged 3',
  });
});

test('a value cannot forge a line', () => {
  const { log, lines } = capture();
  log.info({ name: 'a\n{"level":"fatal"}\r\u2028' }, 'b\n{"level":"fatal"}');
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd().split('\n')).toHaveLength(1);
});

test('long strings are cut, wherever they stand, and the line stays JSON', () => {
  const { log, only } = capture();
  log.info({ nested: { body: '😀"\\\n'.repeat(5_000) } }, 'x'.repeat(50_000));
  const { nested, msg } = only();
  expect(nested.body.length).toBeLessThan(2_100);
  expect(msg).toMatch(/^x{2000}… \(50000 characters\)$/);
});

test('a line with more than anybody reads keeps its head alone', () => {
  const { log, only } = capture();
  log.warn({ nested: { ids: Array.from({ length: 100_000 }, (_, id) => id) } }, 'too many');
  expect(only()).toMatchObject({ level: 'warn', msg: 'too many', dropped_characters: expect.any(Number) });
  expect(only()).not.toHaveProperty('nested');
});

test('numbers keep all of their digits, in a line with a secret too', () => {
  const { log, lines } = capture(['hunter2hunter2']);
  log.info({ id: 9_007_199_254_740_993n, key: 'hunter2hunter2' });
  expect(lines[0]).toContain('"id":9007199254740993,"key":"[redacted]"');
});

describe('secrets', () => {
  const SECRET = 'k3y/with "odd" + signs';

  test.each([
    ['as it is', SECRET],
    ['URL-encoded', encodeURIComponent(SECRET)],
    ['URL-encoded in lower case', encodeURIComponent(SECRET).replace(/%../g, (hex) => hex.toLowerCase())],
    ['form-encoded', encodeURIComponent(SECRET).replaceAll('%20', '+')],
    ['as JSON inside of a string', JSON.stringify({ key: SECRET })],
  ])('are removed, written %s', (_, written) => {
    const { log, lines } = capture([SECRET]);
    log.info({ url: `https://x.test/?k=${written}&page=2`, nested: { [written]: [written] } }, `asked ${written}!`);
    log.child({ bound: written }).error(new Error(`failed ${written}`, { cause: new Error(written) }), 'failed');
    log.error(new Error(`failed ${written}`));
    expect(lines.join('')).toContain('[redacted]');
    expect(lines.join('')).not.toContain('k3y');
  });

  test.each([
    ['https://acme.flowlu.com/api/v1/module/crm/account/list?api_key=abc123&page=2', '&page=2'],
    ['{"api_key":"abc123","page":2}', '"page":2'],
    ['api_key%3Dabc123%26page', 'api_key%3D'],
    ["{ api_key: 'abc123', page: 2 }", 'page: 2'],
    ['api_key: abc123def456 page', ' page'],
    ['postgres://flowlu:abc123@db:5432/flowlu', '@db:5432/flowlu'],
    ['authorization: Bearer abc123', 'Bearer '],
    ['POST /webhooks/flowlu/abc123?x=1', '?x=1'],
    ['Failed query: select $1\nparams: abc123,other', 'select $1'],
  ])('are recognised by their shape in %s', (text, kept) => {
    const redacted = createRedactor([])(text);
    expect(redacted).not.toContain('abc123');
    expect(redacted).toContain(kept);
  });

  test.each([
    'must be an address such as postgres://user:password@host:5432/database',
    'it must be /webhooks/flowlu/SECRET or end in /MODULE.MODEL',
    'give it the address /webhooks/flowlu/SECRET/MODULE.MODEL',
  ])('are not seen in what stands for one: %s', (text) => {
    expect(createRedactor([])(text)).toBe(text);
    expect(createRedactor([])(text.replace('SECRET', 'SECRETx').replace('password', 'passwords'))).toContain(
      '[redacted]',
    );
    expect(createRedactor(['password', 'SECRET-SECRET'])(`${text} SECRET-SECRET`)).toContain('[redacted]');
  });

  test('of some length are removed inside of a word too, shorter ones only as words of their own', () => {
    const redact = createRedactor(['longer-than-twelve', 'shortish', 'old']);
    expect(redact('xlonger-than-twelvex')).toBe('x[redacted]x');
    expect(redact('shortish, =shortish& k%3Dshortish%26 \\nshortish\\n')).not.toContain('shortish');
    for (const sentence of ['FLOWLU_API_KEY: is needed', 'FLOWLU_CLIENT_SECRET: has a space', 'access_token: none']) {
      expect(redact(sentence)).toBe(sentence);
    }
    expect(redact('a shortishly told, older, golden tale')).toBe('a shortishly told, older, golden tale');
  });

  test('are removed whole where they hold what ends a parameter', () => {
    expect(createRedactor(['k3y&with#more'])('?api_key=k3y&with#more k3y%26with%23more')).not.toMatch(/with|more/);
  });

  test('are never cut in half before they are recognised', () => {
    const { log, lines } = capture(['hunter2hunter2']);
    log.info(`${'x'.repeat(1_995)}hunter2hunter2`);
    expect(lines[0]).not.toContain('hunt');
  });
});

describe('errors', () => {
  test('keep type, message, code and the causes', () => {
    const { log, only } = capture();
    const refused = Object.assign(new Error('connect ECONNREFUSED'), {
      code: 'ECONNREFUSED',
      host: 'db',
      detail: 'data',
    });
    const failed = new TypeError('fetch failed', { cause: new AggregateError([refused], 'all attempts failed') });
    log.error({ err: failed }, 'no answer');
    expect(only()).toMatchObject({
      msg: 'no answer',
      err: {
        type: 'TypeError',
        message: 'fetch failed',
        stack: expect.stringMatching(/^at .*log\.test\.ts/),
        causes: [
          { type: 'AggregateError', message: 'all attempts failed' },
          { type: 'Error', message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' },
        ],
      },
    });
    expect(JSON.stringify(only())).not.toContain('"data"');
  });

  test('that cause each other end', () => {
    const { log, only } = capture();
    const first = new Error('first');
    first.cause = new Error('second', { cause: first });
    log.error(first);
    expect(only().err.causes).toHaveLength(5);
  });

  test('without being errors are logged all the same', () => {
    const { log, only } = capture();
    log.error({ err: 'just a text' });
    expect(only().err).toBe('just a text');
  });
});
