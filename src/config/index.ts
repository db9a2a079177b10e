/**
 * Environment → one frozen, checked configuration. The only file that reads `process.env`.
 *
 * One table, `SETTINGS`, yields the names, the defaults, the parsers and the help text, so that none of
 * them can drift from the others. All problems are reported together: nobody should have to fix five
 * mistakes in five runs.
 */
import { readFileSync, statSync } from 'node:fs';
import { parse as parseDotenv } from 'dotenv';
import { z } from 'zod';
import { appConfig, appProblems, appSettings, oauthConfig } from './app.ts';
import { exposureProblems, exposureSettings, tlsFiles } from './exposure.ts';
import { privacyConfig, privacyProblems, privacySettings } from './privacy.ts';
import * as parse from './values.ts';
import { parseModelPatterns, type Setting } from './values.ts';

export { decodeTokenKey, type OAuthConfig } from './app.ts';
export { networks } from './exposure.ts';
export { ADVISED_SECRET_LENGTH, isLoopback, matchesModel, parseModelPatterns, unknownModels } from './values.ts';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One variable that cannot be used, and what to do about it. Never holds the value of a secret. */
export interface ConfigProblem {
  readonly name: string;
  readonly problem: string;
}

/** The configuration cannot be used; the message lists every problem. Ends in exit code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ name, problem }) => `  ${name}: ${problem}`);
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
    super(`The configuration has ${count}:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

const MAX_SECRET_FILE_BYTES = 65_536;

const SETTINGS = {
  DATABASE_URL: {
    group: 'Database',
    schema: parse.databaseUrl.optional(),
    defaultNote: 'embedded PostgreSQL under DATA_DIR',
    secret: true,
    help: 'PostgreSQL (14 or later) that holds the mirror, as postgres://user:password@host:5432/database',
  },
  MIGRATE_DATABASE_URL: {
    group: 'Database',
    schema: parse.databaseUrl.optional(),
    defaultNote: 'as DATABASE_URL',
    secret: true,
    help: 'the same database, as the role that owns the schema; DATABASE_URL then needs no more than the role flowlu_writer',
  },
  DATABASE_POOL: {
    group: 'Database',
    schema: parse.number({ min: 2, max: 200, whole: true }),
    default: '10',
    help: 'most database connections that one process opens',
  },
  DATA_DIR: {
    group: 'Database',
    schema: parse.path,
    default: '.flowlu-mirror',
    help: 'directory of the embedded PostgreSQL',
  },
  FLOWLU_COMPANY: {
    group: 'Flowlu portal',
    schema: parse.company.optional(),
    help: 'sub-domain of the portal: acme for https://acme.flowlu.com',
  },
  FLOWLU_BASE_URL: {
    group: 'Flowlu portal',
    schema: parse.baseUrl.optional(),
    defaultNote: 'https://{company}.flowlu.com/api/v1/module',
    help: 'address of the API, for another edition or a test server; wins over FLOWLU_COMPANY',
  },
  FLOWLU_API_KEY: {
    group: 'Flowlu portal',
    schema: parse.token.optional(),
    secret: true,
    help: 'key of the API; without it the mirror lives on webhooks alone',
  },
  FLOWLU_REQUESTS_PER_SECOND: {
    group: 'Flowlu portal',
    schema: parse.number({ min: 0, max: 100_000 }),
    default: '1',
    help: 'API requests per second that all replicas together may make; 0 sets no limit',
  },
  FLOWLU_TIMEZONE: {
    group: 'Flowlu portal',
    schema: parse.timezone,
    default: 'UTC',
    help: 'time zone of the portal (IANA name); its date-times carry none',
  },
  FLOWLU_MODELS: {
    group: 'Flowlu portal',
    schema: parse.modelPatterns.optional(),
    defaultNote: 'all',
    help: 'models to mirror, comma-separated: module.model or module.*; a leading ! excludes',
  },
  ...privacySettings,
  WEBHOOK_SECRET: {
    group: 'Webhooks and HTTP',
    schema: parse.webhookSecrets.optional(),
    secret: true,
    help: `secret in the webhook URL, ${parse.ADVISED_SECRET_LENGTH} characters or more; several, comma-separated, while it is rotated`,
  },
  WEBHOOK_BODY_LIMIT: {
    group: 'Webhooks and HTTP',
    schema: parse.size({ min: 1024, max: 64 * 1024 ** 2 }),
    default: '1mb',
    help: 'largest body of a webhook',
  },
  HOST: { group: 'Webhooks and HTTP', schema: parse.host, default: '127.0.0.1', help: 'address to listen on' },
  PORT: {
    group: 'Webhooks and HTTP',
    schema: parse.number({ min: 0, max: 65_535, whole: true }),
    default: '8787',
    help: 'port to listen on; 0 takes a free one',
  },
  STATUS_TOKEN: {
    group: 'Webhooks and HTTP',
    schema: parse.token.optional(),
    secret: true,
    help: 'when set, /status, /status.json and /metrics ask for it (Bearer, or Basic password)',
  },
  SHUTDOWN_GRACE: {
    group: 'Webhooks and HTTP',
    schema: parse.duration({ min: '1ms', max: '10m', zero: true }),
    default: '10s',
    help: 'how long a stopping process may finish what it has begun',
  },
  ...exposureSettings,
  RECONCILE_INTERVAL: {
    group: 'Reconciliation',
    schema: parse.duration({ min: '100ms', max: '7d', zero: true }),
    default: '5m',
    help: 'time between incremental catch-ups of serve; 0 turns them off',
  },
  SWEEP_INTERVAL: {
    group: 'Reconciliation',
    schema: parse.duration({ min: '100ms', max: '24d', zero: true }),
    default: '24h',
    help: 'time between full sweeps of serve, which find missed deletes; 0 turns them off',
  },
  SETTLE_GRACE: {
    group: 'Reconciliation',
    schema: parse.duration({ min: '1ms', max: '1d', zero: true }),
    default: '60s',
    help: 'how long a doubtful row may wait before the API decides',
  },
  DELIVERY_RETENTION: {
    group: 'Reconciliation',
    schema: parse.duration({ min: '1h', max: '3650d', zero: true }),
    default: '30d',
    help: 'how long applied deliveries are kept; 0 keeps them for ever',
  },
  ...appSettings,
  HISTORY: {
    group: 'History',
    schema: z.enum(['on', 'off'], { error: 'must be on or off' }),
    default: 'on',
    help: 'whether every change is kept, for the views of flowlu_history; set alike for all processes',
  },
  HISTORY_RETENTION: {
    group: 'History',
    schema: parse.duration({ min: '31d', max: '36500d', zero: true }),
    default: '0',
    help: 'how long changes are kept, in whole months; 0 keeps them for ever',
  },
  LOG_LEVEL: {
    group: 'Logging',
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'must be one of trace, debug, info, warn, error, fatal, silent',
    }),
    default: 'info',
    help: 'least severe level that is logged, as JSON lines on stdout',
  },
} as const satisfies Record<string, Setting>;

type SettingName = keyof typeof SETTINGS;
type Schemas = { [K in SettingName]: (typeof SETTINGS)[K]['schema'] };
type Values = z.output<z.ZodObject<Schemas>>;

const entries = Object.entries(SETTINGS) as readonly (readonly [SettingName, Setting])[];
const schema = z.object(Object.fromEntries(entries.map(([name, setting]) => [name, setting.schema])) as Schemas);

/** The checked configuration: frozen, complete, every default filled in. Times are in milliseconds. */
export type Config = ReturnType<typeof assemble>;

/**
 * Reads the configuration.
 *
 * Without arguments: from the environment, completed by a `.env` in the working directory (a variable that
 * the environment has, even an empty one, hides that of `.env`). With an argument: from exactly that.
 * Empty values count as unset.
 * @throws ConfigError listing every problem at once.
 */
export function loadConfig(env: Environment = withDotenv(process.env)): Config {
  const problems: ConfigProblem[] = [];
  const texts = entries.map(([name, setting]) => [name, readText(name, setting, env, problems)] as const);
  const parsed = schema.safeParse(Object.fromEntries(texts));
  for (const issue of parsed.error?.issues ?? []) {
    const name = String(issue.path[0]);
    if (!problems.some((problem) => problem.name === name)) problems.push({ name, problem: issue.message });
  }
  if (parsed.data?.FLOWLU_API_KEY && !parsed.data.FLOWLU_COMPANY && !parsed.data.FLOWLU_BASE_URL) {
    problems.push({ name: 'FLOWLU_COMPANY', problem: 'is needed with FLOWLU_API_KEY, to know which portal to read' });
  }
  if (parsed.data) {
    problems.push(...appProblems(parsed.data), ...exposureProblems(parsed.data), ...privacyProblems(parsed.data));
  }
  if (parsed.data?.MIGRATE_DATABASE_URL && !parsed.data.DATABASE_URL) {
    problems.push({
      name: 'DATABASE_URL',
      problem: 'is needed with MIGRATE_DATABASE_URL: the embedded server has one role',
    });
  }
  if (problems.length > 0 || !parsed.data) throw new ConfigError(problems);
  return assemble(parsed.data);
}

/** One setting, for help and documentation. */
export interface SettingHelp {
  readonly name: string;
  readonly group: string;
  /** The default, or a note on what happens without the setting; empty where neither exists. */
  readonly default: string;
  readonly secret: boolean;
  readonly help: string;
}

/** All settings in the order of the documentation. */
export function settingsList(): readonly SettingHelp[] {
  return entries.map(([name, setting]) => ({
    name,
    group: setting.group,
    default: setting.default ?? setting.defaultNote ?? '',
    secret: setting.secret ?? false,
    help: setting.help,
  }));
}

/** The settings as text for `--help`. */
export function settingsHelp(): string {
  const lines = settingsList().map(({ name, help, ...setting }) => {
    const fallback = setting.default && ` (default: ${setting.default})`;
    return `  ${name.padEnd(28)}${help}${fallback}`;
  });
  const note = 'A .env file in the working directory is read too. Secrets can also come from a file: NAME_FILE=/path.';
  return `Settings (environment variables):\n${lines.join('\n')}\n\n${note}\n`;
}

/** The text of one setting: the variable, else the file that `NAME_FILE` names, else the default. */
function readText(name: string, setting: Setting, env: Environment, problems: ConfigProblem[]): string | undefined {
  const direct = env[name]?.trim() || undefined;
  const path = setting.secret && (env[`${name}_FILE`]?.trim() || undefined);
  if (direct && path) problems.push({ name, problem: `is set together with ${name}_FILE; unset one of them` });
  if (direct || !path) return direct ?? setting.default;
  try {
    if (statSync(path).size > MAX_SECRET_FILE_BYTES) throw new Error(`is larger than ${MAX_SECRET_FILE_BYTES} bytes`);
    const content = readFileSync(path, 'utf8').trim();
    if (content === '') throw new Error('is empty');
    return content;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    problems.push({ name: `${name}_FILE`, problem: `the file ${path} cannot be used: ${reason}` });
    return undefined;
  }
}

/** The environment, completed by `.env`. `NAME` in the one also hides `NAME_FILE` in the other: they are one setting. */
function withDotenv(env: Environment): Environment {
  const file = readDotenv();
  const hidden = (name: string) => {
    const plain = name.replace(/_FILE$/, '');
    return env[plain] !== undefined || env[`${plain}_FILE`] !== undefined;
  };
  return { ...Object.fromEntries(Object.entries(file).filter(([name]) => !hidden(name))), ...env };
}

function readDotenv(): Environment {
  try {
    return parseDotenv(readFileSync('.env'));
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return {};
    throw new ConfigError([{ name: '.env', problem: `the file cannot be read: ${code}` }]);
  }
}

function assemble(values: Values) {
  const companyUrl = values.FLOWLU_COMPANY && `https://${values.FLOWLU_COMPANY}.flowlu.com/api/v1/module`;
  return deepFreeze({
    database: {
      /** Null: the embedded server under `dataDir`. */
      url: values.DATABASE_URL ?? null,
      /** The same database as the schema's owner; null: `url` is the owner's, or nobody here may migrate. */
      migrateUrl: values.MIGRATE_DATABASE_URL ?? null,
      /** Most connections per process. */
      pool: values.DATABASE_POOL,
      /** Absolute path. */
      dataDir: values.DATA_DIR,
    },
    flowlu: {
      /** Without a trailing slash; null when no portal is named. */
      baseUrl: values.FLOWLU_BASE_URL ?? companyUrl ?? null,
      /** Null: OAuth, or webhook-only. */
      apiKey: values.FLOWLU_API_KEY ?? null,
      /** Null: the API key, or webhook-only. */
      oauth: oauthConfig(values),
      requestsPerSecond: values.FLOWLU_REQUESTS_PER_SECOND,
      timezone: values.FLOWLU_TIMEZONE,
      models: values.FLOWLU_MODELS ?? parseModelPatterns([]),
    },
    privacy: privacyConfig(values),
    webhook: {
      /** Empty: `serve` has to refuse to start. */
      secrets: values.WEBHOOK_SECRET ?? [],
      trust: values.WEBHOOK_TRUST,
      /** Null: from everywhere. */
      allowFrom: values.WEBHOOK_ALLOW_FROM ?? null,
      bodyLimitBytes: values.WEBHOOK_BODY_LIMIT,
    },
    http: {
      host: values.HOST,
      /** 0: any free port. */
      port: values.PORT,
      /** Null: plain HTTP. */
      tls: tlsFiles(values),
      plainHttp: values.PLAIN_HTTP,
      trustedProxies: values.TRUSTED_PROXIES ?? [],
      /** Null: the status routes are open. */
      statusToken: values.STATUS_TOKEN ?? null,
      shutdownGraceMs: values.SHUTDOWN_GRACE,
    },
    reconcile: {
      /** 0: off. */
      intervalMs: values.RECONCILE_INTERVAL,
      /** 0: off. */
      sweepIntervalMs: values.SWEEP_INTERVAL,
      settleGraceMs: values.SETTLE_GRACE,
      /** 0: for ever. */
      deliveryRetentionMs: values.DELIVERY_RETENTION,
    },
    app: appConfig(values),
    history: {
      keeps: values.HISTORY === 'on',
      /** 0: for ever. */
      retentionMs: values.HISTORY_RETENTION,
    },
    logLevel: values.LOG_LEVEL,
    /** Every secret value, for the redaction of logs and error messages. */
    secrets: secretValues(values),
  });
}

function secretValues(values: Values): readonly string[] {
  const {
    DATABASE_URL,
    MIGRATE_DATABASE_URL,
    FLOWLU_API_KEY,
    FLOWLU_CLIENT_SECRET,
    FLOWLU_HASH_SECRET,
    WEBHOOK_SECRET = [],
    STATUS_TOKEN,
    TOKEN_KEY = [],
  } = values;
  const passwords = [DATABASE_URL, MIGRATE_DATABASE_URL].flatMap((url) => {
    const password = url?.match(/^\w+:\/\/[^:/?@]*:([^@/?]+)@/)?.[1];
    return password === undefined ? [] : [password, decodeURIComponent(password)];
  });
  const known = [
    ...passwords,
    FLOWLU_API_KEY,
    FLOWLU_CLIENT_SECRET,
    FLOWLU_HASH_SECRET,
    STATUS_TOKEN,
    ...WEBHOOK_SECRET,
    ...TOKEN_KEY,
  ];
  return [...new Set(known.filter((secret): secret is string => Boolean(secret)))];
}

/** Freezes plain data all the way down. */
function deepFreeze<const T extends object>(data: T): T {
  for (const inner of Object.values(data)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(data);
}
