/** An environment that holds anything at all, and texts that are made to keep a regular expression busy. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config/index.ts';
import { settings } from '../../src/config/table.ts';
import { createRedactor } from '../../src/core/redact.ts';
import { cpuTime } from '../support/cpu-time.ts';

const MARK = 'hunter2hunter2';
const secrets = settings.filter(([, { secret }]) => secret).map(([name]) => name);

const text = fc.oneof(
  fc.constantFrom(
    ...[
      '',
      ' ',
      ',',
      ',,,,',
      '0',
      '-1',
      '1e9',
      'NaN',
      '∞',
      '5m',
      '5 m',
      '1mb',
      '99999999999999999999',
      '\u0000',
      'a\nb',
      '::',
      '[::1]',
    ],
    ...[
      'postgres://',
      'postgres://a:b@c/d',
      'postgres://a:%zz@c/d',
      'https://x',
      'http://x',
      'https://u:p@x',
      '__proto__',
      'constructor',
    ],
    ...[
      'verify',
      'body',
      'private',
      'anywhere',
      'loopback',
      '10.0.0.0/8',
      '10.0.0.0/99',
      'crm.*',
      '!crm.*',
      '!',
      '*.*',
      'acme',
      '/nowhere',
    ],
  ),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
);
const environment = fc.dictionary(fc.constantFrom(...settings.flatMap(([name]) => [name, `${name}_FILE`])), text, {
  maxKeys: 12,
  noNullPrototype: true,
});

describe('any environment', () => {
  it('is a configuration, frozen, or a list of problems by name; and never anything else', () => {
    let valid = 0;
    fc.assert(
      fc.property(environment, (env) => {
        try {
          const config = loadConfig(env);
          expect(Object.isFrozen(config.http) && Object.isFrozen(config.webhook.secrets)).toBe(true);
          valid += 1;
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          expect(error.problems.length).toBeGreaterThan(0);
          for (const { name } of error.problems) expect(name).toMatch(/^(\.env|[A-Z_]+)$/);
          const told = error.problems.map(({ name, problem }) => `${name} ${problem}`);
          expect(new Set(told).size).toBe(told.length);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(valid).toBeGreaterThan(20);
  });

  it('shows no part of a secret in its problems', () => {
    const secretText = fc.tuple(text, text).map(([before, after]) => `${before}${MARK}${after}`);
    const env = fc.tuple(environment, fc.dictionary(fc.constantFrom(...secrets), secretText, { minKeys: 1 }));
    fc.assert(
      fc.property(env, ([others, own]) => {
        try {
          loadConfig({ ...others, ...own });
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          expect(error.message).not.toContain(MARK);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

/** Work that grows with the square of 100,000 characters takes several times as much. */
const LONG_MAX_MS = 1_000;

describe('long texts', () => {
  const long = ['a', '1', ',', '/', '.', ':', '-', ' ', '%', '@', '!a.b,', '1.2.3.4,', 'a://', 'a.', '[', '0 '].map(
    (unit) => unit.repeat(Math.ceil(100_000 / unit.length)),
  );

  it('are read or refused at once, in every setting', () => {
    for (const [name] of settings) {
      for (const value of long) {
        const used_ms = cpuTime(() => {
          try {
            loadConfig({ [name]: value });
          } catch (error) {
            expect(error).toBeInstanceOf(ConfigError);
          }
        });
        expect(used_ms, `${name}=${value.slice(0, 10)}…`).toBeLessThan(LONG_MAX_MS);
      }
    }
  }, 60_000);

  it('are redacted at once', () => {
    const redact = createRedactor([MARK]);
    const hostile = [
      'api_key=',
      'Bearer ',
      'a://b:',
      '/webhooks/flowlu/',
      'Failed query: ',
      'Failed query: \nparams: ',
      'a://',
      MARK.slice(0, -1),
    ];
    for (const value of [...long, ...hostile.map((unit) => unit.repeat(10_000))]) {
      expect(
        cpuTime(() => redact(value)),
        value.slice(0, 20),
      ).toBeLessThan(LONG_MAX_MS);
    }
  });
});
