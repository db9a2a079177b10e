import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  ConfigError,
  loadConfig,
  matchesModel,
  parseModelPatterns,
  settingsHelp,
  settingsList,
  unknownModels,
} from '../../src/config/index.ts';

const SECRET = 'a-webhook-secret-1234';

/** The problems of an environment as `NAME: text`. */
function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ name, problem }) => `${name}: ${problem}`);
  }
}

test('an empty environment gives the documented defaults', () => {
  expect(loadConfig({})).toEqual({
    database: { url: null, migrateUrl: null, pool: 10, dataDir: join(process.cwd(), '.flowlu-mirror') },
    flowlu: {
      baseUrl: null,
      apiKey: null,
      oauth: null,
      requestsPerSecond: 1,
      timezone: 'UTC',
      models: { include: [], exclude: [] },
    },
    privacy: { omit: [], hash: [], hashSecret: null },
    webhook: { secrets: [], trust: 'body', allowFrom: null, bodyLimitBytes: 1_048_576 },
    http: {
      host: '127.0.0.1',
      port: 8787,
      tls: null,
      plainHttp: 'private',
      trustedProxies: [],
      statusToken: null,
      shutdownGraceMs: 10_000,
    },
    reconcile: {
      intervalMs: 300_000,
      sweepIntervalMs: 86_400_000,
      settleGraceMs: 60_000,
      deliveryRetentionMs: 2_592_000_000,
    },
    app: { publicUrl: null, id: null, contact: null, scopes: [], frameAncestors: null },
    history: { keeps: true, retentionMs: 0 },
    logLevel: 'info',
    secrets: [],
  });
});

test('empty values count as unset', () => {
  const names = settingsList().flatMap(({ name }) => [name, `${name}_FILE`]);
  expect(loadConfig(Object.fromEntries(names.map((name) => [name, ' '])))).toEqual(loadConfig({}));
});

test('the configuration cannot be changed, at any depth', () => {
  const config = loadConfig({ WEBHOOK_SECRET: SECRET });
  expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError);
  expect(() => (config.webhook.secrets as string[]).push('x')).toThrow(TypeError);
});

describe('problems', () => {
  test('are all reported together, each with its variable', () => {
    const env = { PORT: '99999', FLOWLU_TIMEZONE: 'Mars/Base', RECONCILE_INTERVAL: '300', LOG_LEVEL: 'loud' };
    expect(problemsOf(env)).toEqual([
      'FLOWLU_TIMEZONE: "Mars/Base" is not a known time zone; use an IANA name such as Europe/Berlin',
      'PORT: "99999" must be a whole number from 0 to 65535',
      'RECONCILE_INTERVAL: "300" is not a duration; write a number and a unit, such as 5m',
      'LOG_LEVEL: must be one of trace, debug, info, warn, error, fatal, silent',
    ]);
    expect(() => loadConfig(env)).toThrow(/^The configuration has 4 problems:\n {2}FLOWLU_TIMEZONE: /);
  });

  test('never show the value of a secret', () => {
    const env = {
      DATABASE_URL: 'mysql://root:hunter2hunter2@db/x',
      FLOWLU_API_KEY: 'hunter2 hunter2',
      FLOWLU_BASE_URL: 'https://x.test/?api_key=hunter2',
      WEBHOOK_SECRET: 'hunter2/hunter2',
      STATUS_TOKEN: 'hunter2 hunter2',
    };
    const problems = problemsOf(env);
    const names = problems.map((problem) => problem.slice(0, problem.indexOf(':')));
    expect(names.toSorted()).toEqual(Object.keys(env).toSorted());
    expect(problems.join()).not.toContain('hunter2');
  });

  test("include an owner's address without a database", () => {
    const problem = expect.stringMatching(/^DATABASE_URL: is needed with MIGRATE_DATABASE_URL/);
    expect(problemsOf({ MIGRATE_DATABASE_URL: 'postgres://u:p@h/d' })).toEqual([problem]);
  });

  test('include a key without a portal', () => {
    expect(problemsOf({ FLOWLU_API_KEY: 'k3y' })).toEqual([expect.stringMatching(/^FLOWLU_COMPANY: is needed/)]);
  });
});

describe('exposure', () => {
  test('takes a certificate and its key together only', () => {
    const [cert, key] = ['/etc/cert.pem', '/etc/key.pem'];
    expect(problemsOf({ TLS_CERT_FILE: cert })).toEqual(['TLS_KEY_FILE: is needed with TLS_CERT_FILE']);
    expect(problemsOf({ TLS_KEY_FILE: key })).toEqual(['TLS_CERT_FILE: is needed with TLS_KEY_FILE']);
    expect(loadConfig({ TLS_CERT_FILE: cert, TLS_KEY_FILE: key }).http.tls).toEqual({ certFile: cert, keyFile: key });
  });

  test('verifies webhooks only where there is an API to ask', () => {
    expect(problemsOf({ WEBHOOK_TRUST: 'verify' })).toEqual([expect.stringMatching(/^FLOWLU_API_KEY: .* is needed/)]);
    const env = { WEBHOOK_TRUST: 'verify', FLOWLU_API_KEY: 'k3y', FLOWLU_COMPANY: 'acme' };
    expect(loadConfig(env).webhook.trust).toBe('verify');
  });

  test('reads networks, with words for those that everybody has', () => {
    const { webhook, http } = loadConfig({
      WEBHOOK_ALLOW_FROM: ' 203.0.113.0/24, 2001:DB8::1 ',
      TRUSTED_PROXIES: 'loopback',
    });
    expect(webhook.allowFrom).toEqual([
      { address: '203.0.113.0', prefix: 24, family: 'ipv4' },
      { address: '2001:db8::1', prefix: 128, family: 'ipv6' },
    ]);
    expect(http.trustedProxies.map(({ address }) => address)).toEqual(['127.0.0.0', '::1']);
    expect(problemsOf({ TRUSTED_PROXIES: 'example.com', PLAIN_HTTP: 'yes', WEBHOOK_TRUST: 'no' })).toHaveLength(3);
  });
});

describe('the portal', () => {
  test.each(['acme', 'Acme', 'https://acme.flowlu.com/', 'acme.flowlu.com', 'http://acme.flowlu.com/_module/crm?x#y'])(
    'is recognised in %s',
    (pasted) => {
      expect(loadConfig({ FLOWLU_COMPANY: pasted }).flowlu.baseUrl).toBe('https://acme.flowlu.com/api/v1/module');
    },
  );

  test.each(['-acme', 'ac me', 'acme.example.com', 'a/../b.c', 'https://'])('is refused in %s', (pasted) => {
    expect(problemsOf({ FLOWLU_COMPANY: pasted })).toHaveLength(1);
  });

  test('can be any https address, or a loopback one', () => {
    const urlOf = (address: string) => loadConfig({ FLOWLU_BASE_URL: address, FLOWLU_COMPANY: 'acme' }).flowlu.baseUrl;
    expect(urlOf('https://crm.example.com/api/v1/module//')).toBe('https://crm.example.com/api/v1/module');
    expect(urlOf('http://127.0.0.1:4000/api')).toBe('http://127.0.0.1:4000/api');
    expect(urlOf('http://[::1]:4000')).toBe('http://[::1]:4000');
  });

  test.each([
    'http://crm.example.com',
    'http://127.0.0.1.example.com',
    'ftp://localhost',
    'crm.example.com',
    'https://u@x.test',
  ])('cannot be reached at %s', (address) => {
    expect(problemsOf({ FLOWLU_BASE_URL: address })).toHaveLength(1);
  });

  test.each(['Europe/Berlin', 'UTC', 'America/Argentina/Buenos_Aires'])('may be in the zone %s', (zone) => {
    expect(loadConfig({ FLOWLU_TIMEZONE: zone }).flowlu.timezone).toBe(zone);
  });

  test('may not be in a zone given as an offset', () => {
    expect(problemsOf({ FLOWLU_TIMEZONE: '+03:00' })).toHaveLength(1);
  });
});

describe('values', () => {
  test.each([
    ['5m', 300_000],
    ['90s', 90_000],
    ['1.5h', 5_400_000],
    ['0', 0],
    ['0s', 0],
  ])('the duration %s is %i milliseconds', (written, millis) => {
    expect(loadConfig({ RECONCILE_INTERVAL: written }).reconcile.intervalMs).toBe(millis);
  });

  test.each(['5', '-5m', '5 parsecs', '8d', 'm', '1e3s'])('%s is not an interval', (written) => {
    expect(problemsOf({ RECONCILE_INTERVAL: written })).toHaveLength(1);
  });

  test.each([
    ['2048', 2_048],
    ['512kb', 524_288],
    ['2MiB', 2_097_152],
  ])('the size %s is %i bytes', (written, bytes) => {
    expect(loadConfig({ WEBHOOK_BODY_LIMIT: written }).webhook.bodyLimitBytes).toBe(bytes);
  });

  test.each([
    { WEBHOOK_BODY_LIMIT: '1' },
    { WEBHOOK_BODY_LIMIT: '1gb' },
    { FLOWLU_REQUESTS_PER_SECOND: '-1' },
    { FLOWLU_REQUESTS_PER_SECOND: '1e3' },
    { DATABASE_POOL: '2.5' },
    { HOST: 'a b' },
  ])('%o is refused', (env) => {
    expect(problemsOf(env)).toHaveLength(1);
  });

  test.each([
    'postgres://u:p@h:5432/d',
    'postgresql://h/d?sslmode=require',
    'postgres:///d?host=/var/run/postgresql',
    'postgres://u:p@h1:5432,h2:5433/d?target_session_attrs=read-write',
  ])('%s is an address of a database', (url) => {
    expect(loadConfig({ DATABASE_URL: url }).database.url).toBe(url);
  });

  test.each(['localhost/d', 'postgres://u:p/w@h/d', 'postgres://u:100%@h/d', 'postgres://h:port/d'])(
    '%s is not an address of a database',
    (url) => {
      expect(problemsOf({ DATABASE_URL: url })).toHaveLength(1);
    },
  );
});

describe('secrets', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'flowlu-mirror-config-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const fileWith = (content: string) => {
    const path = join(directory, 'secret');
    writeFileSync(path, content);
    return path;
  };

  test('of the webhook may be several, while one replaces another', () => {
    const { webhook } = loadConfig({ WEBHOOK_SECRET: ` ${SECRET} , another-secret-5678,${SECRET},` });
    expect(webhook.secrets).toEqual([SECRET, 'another-secret-5678']);
  });

  test.each([
    `${SECRET},with space`,
    'with/slash/in/the/path',
    'with space in the middle',
    'percent%20encoded-secret',
    ',',
  ])('of the webhook cannot be %s', (written) => {
    expect(problemsOf({ WEBHOOK_SECRET: written })).toHaveLength(1);
  });

  test('can come from files', () => {
    const path = fileWith(`${SECRET}\n`);
    const config = loadConfig({ WEBHOOK_SECRET_FILE: path, FLOWLU_API_KEY_FILE: path, FLOWLU_COMPANY: 'acme' });
    expect([config.webhook.secrets, config.flowlu.apiKey]).toEqual([[SECRET], SECRET]);
  });

  test('are refused from a missing, an empty or a huge file', () => {
    expect(problemsOf({ STATUS_TOKEN_FILE: join(directory, 'none') })[0]).toMatch(/^STATUS_TOKEN_FILE: .*ENOENT$/);
    expect(problemsOf({ STATUS_TOKEN_FILE: fileWith(' \n') })[0]).toMatch(/is empty$/);
    expect(problemsOf({ STATUS_TOKEN_FILE: fileWith('x'.repeat(70_000)) })[0]).toMatch(/is larger than/);
  });

  test('are refused when given twice', () => {
    const env = { WEBHOOK_SECRET: SECRET, WEBHOOK_SECRET_FILE: fileWith(SECRET) };
    expect(problemsOf(env)).toEqual(['WEBHOOK_SECRET: is set together with WEBHOOK_SECRET_FILE; unset one of them']);
  });

  test('are listed for redaction, the password of the database in both spellings', () => {
    const { secrets } = loadConfig({
      DATABASE_URL: 'postgres://u:p%40ss-word@h/d',
      MIGRATE_DATABASE_URL: 'postgres://owner:owners-word@h/d',
      WEBHOOK_SECRET: SECRET,
      STATUS_TOKEN: 'status-token',
    });
    expect(secrets.toSorted()).toEqual([SECRET, 'owners-word', 'p%40ss-word', 'p@ss-word', 'status-token']);
  });

  test('of .env complete the environment, which wins', () => {
    const before = process.cwd();
    try {
      writeFileSync(join(directory, '.env'), `PORT=1111\nHOST=::1\nSTATUS_TOKEN_FILE=/nowhere\n`);
      process.chdir(directory);
      vi.stubEnv('PORT', '2222');
      vi.stubEnv('STATUS_TOKEN', 'status-token');
      const { http } = loadConfig();
      expect(http).toMatchObject({ port: 2222, host: '::1', statusToken: 'status-token' });
    } finally {
      vi.unstubAllEnvs();
      process.chdir(before);
    }
  });
});

describe('model patterns', () => {
  const NAMES = ['crm.account', 'crm.lead', 'task.tasks'];
  test.each([
    ['', NAMES],
    ['crm.*', ['crm.account', 'crm.lead']],
    ['CRM.Account, task.tasks', ['crm.account', 'task.tasks']],
    ['!crm.*', ['task.tasks']],
    ['crm.*,!crm.lead', ['crm.account']],
  ])('"%s" asks for %j', (written, expected) => {
    const patterns = loadConfig({ FLOWLU_MODELS: written }).flowlu.models;
    expect(NAMES.filter((name) => matchesModel(patterns, name))).toEqual(expected);
  });

  test.each(['crm', 'crm.', '*', 'crm.a.b', '!!crm.*', 'crm.acc*'])('"%s" is refused', (written) => {
    expect(problemsOf({ FLOWLU_MODELS: written })).toHaveLength(1);
  });

  test('that match nothing are found', () => {
    const patterns = parseModelPatterns(['crm.*', 'crm.deal', '!loans.*']);
    expect(unknownModels(patterns, NAMES)).toEqual(['crm.deal', 'loans.*']);
  });
});

describe('fields that hold personal data', () => {
  const HASH_SECRET = 'a-key-of-thirty-two-characters-or-more';
  test('are named as module.model.field, in any case, each once', () => {
    const { privacy, secrets } = loadConfig({
      FLOWLU_OMIT_FIELDS: ' CRM.Account.VAT, crm.account.cf_12,crm.account.vat,',
      FLOWLU_HASH_FIELDS: 'crm.phones.phone',
      FLOWLU_HASH_SECRET: HASH_SECRET,
    });
    expect(privacy).toEqual({
      omit: [
        { model: 'crm.account', field: 'vat' },
        { model: 'crm.account', field: 'cf_12' },
      ],
      hash: [{ model: 'crm.phones', field: 'phone' }],
      hashSecret: HASH_SECRET,
    });
    expect(secrets).toContain(HASH_SECRET);
  });

  test.each([
    [{ FLOWLU_OMIT_FIELDS: 'crm.account' }, /^FLOWLU_OMIT_FIELDS: .*module\.model\.field/],
    [{ FLOWLU_OMIT_FIELDS: 'crm.account.id' }, /^FLOWLU_OMIT_FIELDS: .*cannot be told from others/],
    [{ FLOWLU_OMIT_FIELDS: 'crm.account.cf_colour' }, /^FLOWLU_OMIT_FIELDS: .*by its number/],
    [{ FLOWLU_HASH_FIELDS: 'crm.account.phone' }, /^FLOWLU_HASH_SECRET: is needed/],
    [{ FLOWLU_HASH_SECRET: 'short' }, /^FLOWLU_HASH_SECRET: .*32/],
    [
      { FLOWLU_OMIT_FIELDS: 'a.b.c', FLOWLU_HASH_FIELDS: 'A.b.c', FLOWLU_HASH_SECRET: HASH_SECRET },
      /^FLOWLU_HASH_FIELDS: also in FLOWLU_OMIT_FIELDS: a\.b\.c/,
    ],
  ])('are refused where they cannot be meant: %j', (env, problem) => {
    expect(problemsOf(env)).toEqual([expect.stringMatching(problem)]);
  });
});

describe('documentation', () => {
  test('help names every setting with its default', () => {
    const help = settingsHelp();
    for (const setting of settingsList()) {
      expect(help).toContain(`  ${setting.name} `);
      expect(help).toContain(setting.default);
    }
  });

  test('.env.example says what the code does (vitest -u writes it anew)', async () => {
    await expect(envExample()).toMatchFileSnapshot('../../.env.example');
  });

  test('.env.example with every line switched on is a valid configuration', () => {
    const lines = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8').matchAll(/^# ?(\w+)=(.*)$/gm);
    const env = Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
    expect(Object.keys(env)).toEqual(settingsList().map(({ name }) => name));
    // The API key and OAuth are two ways to the same end; one of them is always off.
    expect(problemsOf({ ...env, FLOWLU_API_KEY: '' })).toEqual([]);
    expect(problemsOf({ ...env, FLOWLU_CLIENT_ID: '' })).toEqual([]);
    expect(problemsOf(env)).toEqual(['FLOWLU_CLIENT_ID: is set together with FLOWLU_API_KEY; unset one of them']);
  });
});

/** What stands in .env.example: one commented line per setting, with its default or an example. */
function envExample(): string {
  const examples: Record<string, string> = {
    DATABASE_URL: 'postgres://flowlu:change-me@localhost:5432/flowlu',
    MIGRATE_DATABASE_URL: 'postgres://flowlu_owner:change-me@localhost:5432/flowlu',
    FLOWLU_COMPANY: 'acme',
    FLOWLU_BASE_URL: 'https://acme.flowlu.com/api/v1/module',
    FLOWLU_API_KEY: 'change-me',
    FLOWLU_MODELS: 'crm.*,task.tasks,!crm.lead_followers',
    FLOWLU_OMIT_FIELDS: 'crm.account.vat,crm.account.cf_12',
    FLOWLU_HASH_FIELDS: 'crm.account.phone,crm.phones.phone',
    FLOWLU_HASH_SECRET: 'change-me-to-32-random-characters-or-more',
    WEBHOOK_SECRET: 'change-me-to-something-random',
    STATUS_TOKEN: 'change-me',
    PUBLIC_URL: 'https://mirror.example.com',
    APP_ID: 'com.example.mirror',
    APP_CONTACT: 'it@example.com',
    APP_SCOPES: 'agile.*=agile,core.tag=-',
    APP_FRAME_ANCESTORS: 'https://acme.flowlu.com',
    FLOWLU_CLIENT_ID: 'change-me',
    FLOWLU_CLIENT_SECRET: 'change-me',
    FLOWLU_OAUTH_AUTHORIZE_URL: 'https://acme.flowlu.com/see-the-developer-hub',
    FLOWLU_OAUTH_TOKEN_URL: 'https://acme.flowlu.com/see-the-developer-hub',
    FLOWLU_OAUTH_REDIRECT_URL: 'https://mirror.example.com/oauth/callback',
    TOKEN_KEY: '0000000000000000000000000000000000000000000000000000000000000000',
    TLS_CERT_FILE: '/etc/flowlu-mirror/cert.pem',
    TLS_KEY_FILE: '/etc/flowlu-mirror/key.pem',
    WEBHOOK_ALLOW_FROM: '203.0.113.0/24,2001:db8::/32',
    TRUSTED_PROXIES: 'loopback',
  };
  const settings = settingsList();
  const sections = [...new Set(settings.map(({ group }) => group))].map((group) => {
    const lines = settings
      .filter((setting) => setting.group === group)
      .map(({ name, help, default: fallback }) => {
        const note = fallback && name in examples ? ` (without it: ${fallback})` : '';
        return `# ${help}${note}\n#${name}=${examples[name] ?? fallback}\n`;
      });
    return `# --- ${group} ---\n\n${lines.join('\n')}`;
  });
  const files = settings.filter(({ secret }) => secret).map(({ name }) => `${name}_FILE`);
  const head = [
    '# Settings of flowlu-mirror. Copy this file to .env, remove the # of a line to set it.',
    '# The environment wins over .env. Each secret can also be read from a file:',
    `# ${files.join(', ')}.`,
  ];
  return `${head.join('\n')}\n\n${sections.join('\n')}`;
}
