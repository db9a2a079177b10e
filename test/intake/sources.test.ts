/** Where a request comes from, and how wrong secrets are counted. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networks } from '../../src/config/index.ts';
import { createAttemptCounter } from '../../src/intake/attempts.ts';
import { membershipOf, sourceOf } from '../../src/intake/sources.ts';

const within = (text: string) => membershipOf(networks.read(text));
const proxies = within('10.0.0.0/8, loopback, 2001:db8:ffff::/48');

describe('the source of a request', () => {
  it.each([
    ['the peer, where nothing is forwarded', '203.0.113.9', undefined, '203.0.113.9'],
    ['the peer, whatever it claims, where it is no trusted proxy', '203.0.113.9', '1.2.3.4', '203.0.113.9'],
    ['what a trusted proxy saw', '10.0.0.1', '198.51.100.7', '198.51.100.7'],
    [
      'the last that is no trusted proxy, read from the right',
      '10.0.0.1',
      '1.1.1.1, 198.51.100.7, 10.9.9.9',
      '198.51.100.7',
    ],
    ['never what stands to the left of it', '127.0.0.1', '127.0.0.1, 10.0.0.2, 6.6.6.6', '6.6.6.6'],
    ['the furthest proxy, where there is nobody else', '10.0.0.1', '10.0.0.3,10.0.0.2', '10.0.0.3'],
    ['IPv4 within IPv6, in its plain form', '::ffff:10.0.0.1', '::ffff:198.51.100.7', '198.51.100.7'],
    ['an address with a port', '10.0.0.1', '198.51.100.7:4711', '198.51.100.7'],
    ['an IPv6 address in brackets, with a port', '10.0.0.1', '[2001:DB8::7]:443', '2001:db8::7'],
    ['an IPv6 proxy', '2001:db8:ffff::1', '2001:db8::7', '2001:db8::7'],
    ['nobody, where the proxy tells no address', '10.0.0.1', 'unknown', null],
    ['the proxy itself, where it tells nothing', '10.0.0.1', '', '10.0.0.1'],
    ['nobody, after a comma at the end', '10.0.0.1', '1.2.3.4,', null],
    ['nobody, without a peer', undefined, '1.2.3.4', null],
    ['nobody, where the proxies are too many', '10.0.0.1', Array(40).fill('10.0.0.2').join(','), null],
  ])('is %s', (_, peer, forwarded, source) => {
    expect(sourceOf(peer, forwarded, proxies)).toBe(source);
  });

  it('cannot be chosen by what a sender writes into the header, behind one trusted proxy', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789.,:f[] ') })), (written) => {
        expect(sourceOf('10.0.0.1', `${written}, 198.51.100.7`, proxies)).toBe('198.51.100.7');
        expect(() => sourceOf('10.0.0.1', written, proxies)).not.toThrow();
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('networks', () => {
  it.each([
    ['203.0.113.0/24', '203.0.113.255', '203.0.114.0'],
    ['203.0.113.7', '203.0.113.7', '203.0.113.8'],
    ['2001:db8::/32', '2001:db8:1::1', '2001:db9::1'],
    ['private', '192.168.3.4', '192.169.3.4'],
    ['loopback', '127.3.3.3', '128.0.0.1'],
    ['0.0.0.0/0', '8.8.8.8', '2001:db8::1'],
  ])('%s hold %s and not %s', (text, inside, outside) => {
    expect(within(text)(inside)).toBe(true);
    expect(within(text)(outside)).toBe(false);
  });

  it.each([
    '203.0.113.0/33',
    '2001:db8::/129',
    '300.1.1.1',
    'example.com',
    '1.2.3',
    '1.2.3.4/',
    '1.2.3.4/-1',
    ',',
    '1.2.3.4 5',
  ])('are not %s', (text) => {
    expect(() => networks.read(text)).toThrow();
  });
});

describe('wrong secrets', () => {
  const limits = { allowed: 3, windowMs: 1_000, maxSources: 100 };

  it('are too many beyond the limit, which is told once a window', () => {
    const counter = createAttemptCounter(limits);
    const verdicts = [0, 1, 2, 3, 4, 1_000].map((now) => counter.wrong('1.2.3.4', now));
    expect(verdicts.map(({ isTooMany }) => isTooMany)).toEqual([false, false, false, true, true, false]);
    expect(verdicts.map(({ isFirstTooMany }) => isFirstTooMany)).toEqual([false, false, false, true, false, false]);
    expect(verdicts.map(({ retryAfter_s }) => retryAfter_s)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(counter.wrong('1.2.3.5', 4).isTooMany).toBe(false);
  });

  it('of one IPv6 network count together, in whatever form the address is written', () => {
    const counter = createAttemptCounter(limits);
    for (const address of ['2001:db8::1', '2001:db8:0:0:9::1', '2001:db8:0:0:1:2:3:4', '2001:db8::'])
      counter.wrong(address, 0);
    expect(counter.size).toBe(1);
    expect(counter.wrong('2001:db8:0:1::1', 0).isTooMany).toBe(false);
    expect(counter.wrong('::1', 0).isTooMany).toBe(false);
    expect(counter.size).toBe(3);
  });

  it('take no more memory than the limit, and the source that is at it is not forgotten', () => {
    const counter = createAttemptCounter(limits);
    for (let n = 0; n < 50_000; n += 1) {
      counter.wrong(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 0);
      if (n % 50 === 0) counter.wrong('6.6.6.6', 0);
    }
    expect(counter.size).toBe(limits.maxSources);
    expect(counter.wrong('6.6.6.6', 0).isTooMany).toBe(true);
  });
});
