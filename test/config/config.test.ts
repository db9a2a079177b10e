import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { envExample, settingsPage } from '../../scripts/reference/settings.ts';
import {
  ConfigError,
  loadConfig,
  matchesModel,
  parseModelPatterns,
  problemWith,
  settingsHelp,
  unknownModels,
} from '../../src/config/index.ts';
import { settings } from '../../src/config/table.ts';

const SECRET = 'a-webhook-secret-1234';

/** The problems of an environment as `NAME: text`. */
const problemsOf = (env: Record<string, string>) => problemsIn(() => loadConfig(env));

function problemsIn(load: () => unknown): readonly string[] {
  try {
    load();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ name, problem }) => `${name}: ${problem}`);
  }
}

test('an empty environment gives the documented defaults', () => {
  expect(loadConfig({})).toEqual({
    database: {
      url: null,
      migrateUrl: null,
      readerUrl: null,
      pool: 10,
      sleepMs: 0,
      dataDir: join(process.cwd(), '.flowlu-mirror'),
    },
    flowlu: {
      baseUrl: null,
      apiKey: null,
      oauth: null,
      extraModels: [],
      requestsPerSecond: 1,
      backgroundShare: 0.5,
      timezone: 'UTC',
      models: { include: [], exclude: [] },
    },
    privacy: { omit: [], hash: [], hashSecret: null },
    webhook: { secrets: [], modelNames: [], trust: 'body', allowFrom: null, bodyLimitBytes: 1_048_576 },
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
      failedRetentionMs: 15_552_000_000,
    },
    app: { publicUrl: null, id: null, contact: null, scopes: [], frameAncestors: null },
    history: { keeps: true, retentionMs: 0 },
    logLevel: 'info',
    strangers: [],
    secrets: [],
  });
});

test('empty values count as unset', () => {
  const names = settings.flatMap(([name]) => [name, `${name}_FILE`]);
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
      'FLOWLU_TIMEZONE: "Mars/Base" must be an IANA time zone such as Europe/Berlin',
      'PORT: "99999" must be a whole number from 0 to 65535',
      'RECONCILE_INTERVAL: "300" must be 0 or a number with a unit from 100ms to 7d, such as 5m',
      'LOG_LEVEL: "loud" must be trace, debug, info, warn, error, fatal or silent',
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
    expect(urlOf('http://portal.localhost:4000')).toBe('http://portal.localhost:4000');
  });

  test.each([
    'http://crm.example.com',
    'http://127.0.0.1.example.com',
    'http://evil-localhost',
    'http://localhost.example.com',
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

  test('the retention of the history has one description, in its error, in help and on the page', () => {
    const expects = '0 or a number with a unit from 31d to 36500d, such as 730d';
    expect(problemsOf({ HISTORY_RETENTION: '24' })).toEqual([`HISTORY_RETENTION: "24" must be ${expects}`]);
    expect(problemsOf({ HISTORY_RETENTION: '24h' })).toEqual([`HISTORY_RETENTION: "24h" must be ${expects}`]);
    expect(loadConfig({ HISTORY_RETENTION: '730d' }).history.retentionMs).toBe(730 * 86_400_000);
    expect(settingsHelp()).toMatch(new RegExp(`HISTORY_RETENTION .*\\n +${expects}\\n`));
    expect(settingsPage()).toMatch(new RegExp(`HISTORY_RETENTION.*${expects}`));
  });

  test('a long or odd value is shown shortened and on one line', () => {
    const [problem = ''] = problemsOf({ PORT: `1\n\u001b[31m${'2'.repeat(500)}` });
    expect(problem.length).toBeLessThan(150);
    expect(problem).not.toMatch(/\p{Cc}/u);
  });

  test.each([`"abc"`, `'abc'`, '“abc”', '""'])('%s is refused: Docker passes quotation marks on', (written) => {
    for (const [name] of settings) {
      const [problem, ...more] = problemsOf({ [name]: written });
      expect(more).toEqual([]);
      expect(problem).toMatch(new RegExp(`^${name}: stands in quotation marks, .* write it without them$`));
    }
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
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });

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

  test.each([{ WEBHOOK_SECRET: 'short' }, { WEBHOOK_SECRET: `${SECRET},short` }, { STATUS_TOKEN: 'short' }])(
    'of fewer than 16 characters are refused: %o',
    (env) => {
      expect(problemsOf(env)).toEqual([
        expect.stringMatching(/has fewer than 16 characters and can be guessed; make one with: openssl rand -hex 32$/),
      ]);
    },
  );

  test.each(['the-key', 'a-long-random-word', 'postgres://flowlu:…@db.example.com:5432/flowlu'])(
    'are refused when they are what a page showed: %s',
    (shown) => {
      const name = shown.includes(':') ? 'DATABASE_URL' : 'FLOWLU_API_KEY';
      expect(problemsOf({ [name]: shown })).toEqual([expect.stringMatching(`^${name}: is still the placeholder`)]);
    },
  );

  test('can come from files', () => {
    const path = fileWith(`${SECRET}\n`);
    const config = loadConfig({ WEBHOOK_SECRET_FILE: path, FLOWLU_API_KEY_FILE: path, FLOWLU_COMPANY: 'acme' });
    expect([config.webhook.secrets, config.flowlu.apiKey]).toEqual([[SECRET], SECRET]);
  });

  test('are refused from a missing, an empty or a huge file', () => {
    expect(problemsOf({ STATUS_TOKEN_FILE: join(directory, 'none') })[0]).toMatch(
      /^STATUS_TOKEN_FILE: .*it does not exist$/,
    );
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
      STATUS_TOKEN: 'a-status-token-1234',
    });
    expect(secrets.toSorted()).toEqual(['a-status-token-1234', SECRET, 'owners-word', 'p%40ss-word', 'p@ss-word']);
  });

  /** The configuration of a directory whose `.env` has this content. */
  function withDotenv(content: string | Buffer) {
    const before = process.cwd();
    try {
      writeFileSync(join(directory, '.env'), content);
      process.chdir(directory);
      return loadConfig();
    } finally {
      process.chdir(before);
    }
  }

  test('in the address of a database are the passwords, but for one that is no more secret than the user', () => {
    const secretsOf = (url: string) => loadConfig({ DATABASE_URL: url }).secrets;
    expect(secretsOf('postgres://postgres:postgres@h/d')).toEqual([]);
    expect(secretsOf('postgres:///d?host=h&password=in-the-query&sslmode=require')).toEqual(['in-the-query']);
  });

  test('of .env complete the environment, which wins', () => {
    vi.stubEnv('PORT', '2222');
    vi.stubEnv('STATUS_TOKEN', 'a-status-token-1234');
    const { http } = withDotenv('PORT=1111\nHOST=::1\nSTATUS_TOKEN_FILE=/nowhere\n');
    expect(http).toMatchObject({ port: 2222, host: '::1', statusToken: 'a-status-token-1234' });
  });

  const strangersOf = (env: Record<string, string>) =>
    loadConfig(env).strangers.map(({ name, problem }) => `${name} ${problem}`);

  test.each([
    ['FLOWLU_APIKEY', 'FLOWLU_API_KEY'],
    ['DATABSE_URL', 'DATABASE_URL'],
    ['FLOWLU_TIMEZNE', 'FLOWLU_TIMEZONE'],
    ['WEBHOOK_SERCET', 'WEBHOOK_SECRET'],
    ['flowlu_api_key', 'FLOWLU_API_KEY'],
    ['FLOWLU_WEBHOOK_SECRET', 'WEBHOOK_SECRET'],
    ['FLOWLU_TIMEZONE_FILE', 'FLOWLU_TIMEZONE'],
    ['WEBHOOK_SECRET_FLE', 'WEBHOOK_SECRET_FILE'],
    ['STATUSTOKEN', 'STATUS_TOKEN'],
    ['PROT', 'PORT'],
    ['host', 'HOST'],
  ])('a misspelt %s is refused in .env and told of in the environment, never with its value', (name, meant) => {
    const told = `is no setting; did you mean ${meant}?`;
    expect(strangersOf({ [name]: 'hunter2hunter2' })).toEqual([`${name} ${told}`]);
    expect(problemsIn(() => withDotenv(`${name}=hunter2hunter2\n`))).toEqual([`${name}: ${told}`]);
  });

  test('a name that begins like ours is told of where nothing is near, and with it every other mistake', () => {
    expect(strangersOf({ FLOWLU_PAGE_COLOUR: 'red' })).toEqual([
      'FLOWLU_PAGE_COLOUR is no setting; docs/settings.md lists them all',
    ]);
    const problems = problemsIn(() => withDotenv('FLOWLU_TIMEZNE=UTC\nPORT=x\n'));
    expect(problems.map((problem) => problem.split(':', 1)[0])).toEqual(['FLOWLU_TIMEZNE', 'PORT']);
  });

  test('what others set is no mistake: of proxies, shells, Compose and Kubernetes, and where the setting itself is set', () => {
    const foreign = [
      ...['HTTP_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'ALL_PROXY', 'HOSTNAME', 'POST', 'HOSTS', 'LOGNAME'],
      ...['DATABASE_PORT', 'DATABASE_HOST', 'DATABASE_USER', 'DATABASE_NAME', 'POSTGRES_PASSWORD', 'OWNER_PASSWORD'],
      ...['POSTGRES_PORT', 'MIRROR_HOST', 'GITHUB_TOKEN', 'API_KEY', 'WEBHOOK_URL', 'HISTFILE', 'OTEL_SERVICE_NAME'],
      ...['FLOWLU_MIRROR_SERVICE_HOST', 'FLOWLU_MIRROR_PORT_80_TCP_ADDR', 'FLOWLU_PORT', 'FLOWLU_SERVICE_PORT_HTTP'],
      ...['FLOWLU_MIRROR_WORKER', 'npm_config_loglevel', 'TZ'],
    ];
    expect(strangersOf(Object.fromEntries(foreign.map((name) => [name, 'x'])))).toEqual([]);
    expect(strangersOf({ FLOWLU_TIMZONE: 'UTC', FLOWLU_TIMEZONE: 'UTC' })).toHaveLength(1);
    expect(strangersOf({ DATABASE_URI: 'x', DATABASE_URL: 'postgres://h/d', FLOWLU_APIKEY: ' ' })).toEqual([]);
  });

  const text = '\ufeffWEBHOOK_SECRET="a-webhook-secret-1234"\r\nAPP_CONTACT=Jürgen\r\n';
  const utf16 = Buffer.from(text, 'utf16le');
  test.each([
    ['UTF-8 with a byte order mark', Buffer.from(text)],
    ['UTF-16 as Windows writes it', utf16],
    ['UTF-16 in the other order', Buffer.from(utf16).swap16()],
  ])('of a .env in %s are read', (_, content) => {
    const { webhook, app } = withDotenv(content);
    expect([webhook.secrets, app.contact]).toEqual([[SECRET], 'Jürgen']);
  });

  test.each([
    ['UTF-16 without a byte order mark', utf16.subarray(2), /^\.env: the file cannot be used: .*save it as UTF-8$/],
    ['another encoding', Buffer.from(text.slice(1), 'latin1'), /^\.env: the file cannot be used: .*save it as UTF-8$/],
    ['more than a .env can hold', Buffer.alloc(70_000, '#'), /^\.env: the file cannot be used: is larger than/],
  ])('of a .env in %s are refused with a sentence', (_, content, problem) => {
    expect(problemsIn(() => withDotenv(content))).toEqual([expect.stringMatching(problem)]);
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

  test.each([
    [
      'crm.acount',
      'no model is called crm.acount (did you mean crm.account?); docs/data-model.md lists all, others go into FLOWLU_EXTRA_MODELS alone',
    ],
    [
      'crm.lead,!crn.*',
      'no model is called crn.* (did you mean crm.*?); docs/data-model.md lists all, others go into FLOWLU_EXTRA_MODELS alone',
    ],
    [
      'crm.zebra',
      'no model is called crm.zebra; docs/data-model.md lists all, others go into FLOWLU_EXTRA_MODELS alone',
    ],
    ['crm.lead,!crm.*', 'excludes all that it includes'],
  ])('%s is refused, because it would mirror something else than was meant', (written, problem) => {
    expect(problemsOf({ FLOWLU_MODELS: written })).toEqual([`FLOWLU_MODELS: ${problem}`]);
  });

  test('that are a module alone are refused with what was meant', () => {
    expect(() => parseModelPatterns(['crm'])).toThrow(/"crm" must be .* \(did you mean crm\.\*\?\)$/);
    expect(() => parseModelPatterns(['zebra'])).toThrow(/excludes$/);
  });

  test('that match nothing are found', () => {
    const patterns = parseModelPatterns(['crm.*', 'crm.deal', '!loans.*']);
    expect(unknownModels(patterns, NAMES)).toEqual(['crm.deal (did you mean crm.lead?)', 'loans.*']);
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
  test('help names every setting with its default and what it expects', () => {
    const help = settingsHelp();
    for (const [name, setting] of settings) {
      expect(help).toContain(`  ${name} `);
      expect(help).toContain(setting.default ?? setting.without ?? '');
      expect(help).toContain(setting.parser.expects);
    }
  });

  const lines = envExample().matchAll(/^#(\w+)=(.*)$/gm);
  const example = Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));

  test('.env.example has a value for every setting, and those that are not to be replaced can be used', () => {
    expect(Object.keys(example)).toEqual(settings.map(([name]) => name));
    const isReady = ([, { placeholder }]: (typeof settings)[number]) => placeholder === undefined;
    const usable = Object.fromEntries(settings.filter(isReady).map(([name]) => [name, example[name] ?? '']));
    expect(problemsOf({ ...usable, FLOWLU_HASH_SECRET: 'x'.repeat(32) })).toEqual([]);
  });

  test.each(settings.flatMap(([name, { placeholder }]) => (placeholder === undefined ? [] : [name])))(
    'the placeholder of %s is refused, alone and in a list',
    (name) => {
      const refused = `${name}: is still the placeholder of the documentation; put your own value in its place`;
      expect(problemsOf({ [name]: example[name] ?? '' })).toEqual([refused]);
      expect(problemsOf({ [name]: `${SECRET},${example[name]}` })).toEqual([refused]);
    },
  );
});

test('one answer is judged by itself, so that a person can be asked again for it alone', () => {
  expect(problemWith('FLOWLU_TIMEZONE', 'Europe/Berlin')).toBeNull();
  expect(problemWith('FLOWLU_API_KEY', 'a-key-without-a-company')).toBeNull();
  expect(problemWith('FLOWLU_TIMEZONE', 'Europe/Berln')).toContain('zone');
  expect(problemWith('FLOWLU_COMPANY', '"acme"')).toContain('quotation marks');
});
