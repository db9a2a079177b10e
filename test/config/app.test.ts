import { describe, expect, it, test } from 'vitest';
import { ConfigError, decodeTokenKey, loadConfig } from '../../src/config/index.ts';

const problemsOf = (env: Record<string, string>): readonly string[] => {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ name, problem }) => `${name}: ${problem}`);
  }
};

const HEX = 'ab'.repeat(32);
const OAUTH = {
  FLOWLU_COMPANY: 'acme',
  FLOWLU_CLIENT_ID: 'app',
  FLOWLU_CLIENT_SECRET: 'client-secret-1',
  FLOWLU_OAUTH_AUTHORIZE_URL: 'https://acme.flowlu.com/authorize?lang=de',
  FLOWLU_OAUTH_TOKEN_URL: 'https://acme.flowlu.com/token',
  PUBLIC_URL: 'https://mirror.example.com/',
  TOKEN_KEY: HEX,
};

describe('OAuth', () => {
  it('needs a client id, two addresses, a portal, a way back and a key', () => {
    const { flowlu, secrets } = loadConfig(OAUTH);
    expect(flowlu.apiKey).toBeNull();
    expect(flowlu.oauth).toEqual({
      clientId: 'app',
      clientSecret: 'client-secret-1',
      authorizeUrl: 'https://acme.flowlu.com/authorize?lang=de',
      tokenUrl: 'https://acme.flowlu.com/token',
      refreshUrl: null,
      redirectUrl: 'https://mirror.example.com/oauth/callback',
      tokenKeys: [HEX],
    });
    expect(secrets).toEqual(['client-secret-1', HEX]);
    const names = problemsOf({ FLOWLU_CLIENT_ID: 'app' }).map((problem) => problem.split(':')[0]);
    expect(names).toEqual([
      'FLOWLU_OAUTH_AUTHORIZE_URL',
      'FLOWLU_OAUTH_TOKEN_URL',
      'TOKEN_KEY',
      'PUBLIC_URL',
      'FLOWLU_COMPANY',
    ]);
  });

  it('does without a client secret, and takes another way back', () => {
    const { FLOWLU_CLIENT_SECRET, PUBLIC_URL, ...rest } = OAUTH;
    const { oauth } = loadConfig({ ...rest, FLOWLU_OAUTH_REDIRECT_URL: 'http://127.0.0.1:8789/back' }).flowlu;
    expect(oauth).toMatchObject({ clientSecret: null, redirectUrl: 'http://127.0.0.1:8789/back' });
  });

  it('is never mixed with a key', () => {
    expect(problemsOf({ ...OAUTH, FLOWLU_API_KEY: 'key' })).toEqual([
      'FLOWLU_CLIENT_ID: is set together with FLOWLU_API_KEY; unset one of them',
    ]);
  });

  it.each([
    ['FLOWLU_OAUTH_TOKEN_URL', 'http://acme.flowlu.com/token'],
    ['FLOWLU_OAUTH_TOKEN_URL', 'https://user:pass@acme.flowlu.com/token'],
    ['FLOWLU_OAUTH_AUTHORIZE_URL', 'https://acme.flowlu.com/authorize#x'],
    ['FLOWLU_OAUTH_AUTHORIZE_URL', 'javascript:alert(1)'],
    ['PUBLIC_URL', 'http://mirror.example.com'],
    ['PUBLIC_URL', 'https://mirror.example.com/?x=1'],
    ['TOKEN_KEY', 'a passphrase'],
    ['TOKEN_KEY', `${HEX},short`],
    ['TOKEN_KEY', ','],
    ['APP_SCOPES', 'crm.lead'],
    ['APP_SCOPES', 'crm=crm'],
    ['APP_SCOPES', 'crm.lead=crm.read'],
    ['APP_SCOPES', 'crm.lead=crm deals'],
    ['APP_FRAME_ANCESTORS', "https://acme.flowlu.com; script-src 'unsafe-inline'"],
    ['APP_FRAME_ANCESTORS', '*'],
    ['APP_FRAME_ANCESTORS', 'http://acme.flowlu.com'],
    ['APP_FRAME_ANCESTORS', 'https://acme.flowlu.com/path'],
    ['APP_ID', 'com..example'],
    ['APP_CONTACT', 'x'.repeat(201)],
  ])('refuses %s=%s, and repeats no secret', (name, value) => {
    const problems = problemsOf({ ...OAUTH, [name]: value });
    expect(problems.map((problem) => problem.split(':')[0])).toContain(name);
    expect(problems.join()).not.toContain(HEX);
    if (name === 'TOKEN_KEY') expect(problems.join()).not.toContain(value.split(',')[0] || 'nothing');
  });
});

test('a token key has 32 bytes, in hex or either base64', () => {
  const bytes = Buffer.from(HEX, 'hex');
  for (const text of [HEX, HEX.toUpperCase(), bytes.toString('base64'), bytes.toString('base64url')]) {
    expect(decodeTokenKey(text)).toEqual(bytes);
  }
  for (const text of ['', 'ab', HEX.slice(2), `${HEX}00`, 'ä'.repeat(43)]) expect(decodeTokenKey(text)).toBeNull();
});

test('what the app needs to know is read from its settings', () => {
  const { app } = loadConfig({
    PUBLIC_URL: 'https://acme.org/mirror/',
    APP_SCOPES: 'Agile.*=agile, core.tag=-',
    APP_FRAME_ANCESTORS: 'https://acme.flowlu.com/ https://*.flowlu.com:8443',
  });
  expect(app).toEqual({
    publicUrl: 'https://acme.org/mirror',
    id: null,
    contact: null,
    scopes: [
      { pattern: 'agile.*', code: 'agile' },
      { pattern: 'core.tag', code: null },
    ],
    frameAncestors: ['https://acme.flowlu.com', 'https://*.flowlu.com:8443'],
  });
});
