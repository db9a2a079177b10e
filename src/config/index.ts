/** Environment → one frozen, checked configuration. All problems are reported together. */
import { reasonOf } from '../core/files.ts';
import { passwordsIn } from '../postgres/url.ts';
import { conflictsOf } from './conflicts.ts';
import { type Environment, readDotenv, readEnvironment, readText } from './environment.ts';
import { ConfigError, type ConfigProblem } from './errors.ts';
import { parseModelPatterns } from './names.ts';
import { isPlaceholder } from './secrets.ts';
import { strangersIn } from './strangers.ts';
import { type Setting, type SettingName, settings, type Values } from './table.ts';

export { isLoopback, networks } from './addresses.ts';
export { telemetryEnvironment } from './environment.ts';
export { ConfigError } from './errors.ts';
export { matchesModel, parseModelPatterns, unknownModels } from './names.ts';
export { decodeTokenKey } from './secrets.ts';
export { settingsHelp } from './table.ts';

/** The checked configuration: frozen, complete, every default filled in. Times are in milliseconds. */
export type Config = ReturnType<typeof assemble>;

/** How to log in by OAuth. */
export type OAuthConfig = NonNullable<Config['flowlu']['oauth']>;

/**
 * Reads the configuration: from the environment and `.env` (see `readEnvironment`), or from exactly `given`.
 * Empty values count as unset.
 * @throws ConfigError listing every problem at once.
 */
export function loadConfig(given?: Environment): Config {
  const dotenv = given === undefined ? readDotenv() : {};
  const env = given ?? readEnvironment(dotenv);
  // `.env` was written for us; the environment has what others put there, too.
  const strangers = strangersIn(env);
  const problems = strangers.filter(({ name }) => dotenv[name] !== undefined);
  const parsed = settings.map(([name, setting]) => {
    try {
      const text = textOf(name, setting, env, problems);
      return [name, text === undefined ? undefined : setting.parser.read(text)];
    } catch (error) {
      problems.push({ name, problem: (error as Error).message });
      return [name, undefined];
    }
  });
  // The keys and parsers are those of the table, from which the type follows.
  const values = Object.fromEntries(parsed) as Values;
  if (problems.length === 0) problems.push(...conflictsOf(values));
  if (problems.length > 0) throw new ConfigError(problems);
  return assemble(values, strangers);
}

/** What is wrong with a text for one setting, or null. */
export function problemWith(name: string, text: string): string | null {
  const [, setting] = settings.find(([known]) => known === name) ?? [];
  try {
    if (setting !== undefined) setting.parser.read(meant(text, setting));
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The environment without any setting of ours, well spelt or not. */
export function withoutSettings(): Environment {
  const env = readEnvironment({});
  const known = settings.flatMap(([name]) => [name, `${name}_FILE`]);
  const ours = new Set<string>([...known, ...strangersIn(env).map(({ name }) => name)]);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ours.has(name)));
}

/** The text of one setting: the variable, else the file that `NAME_FILE` names, else the default. */
function textOf(name: string, setting: Setting, env: Environment, problems: ConfigProblem[]): string | undefined {
  const direct = env[name]?.trim() || undefined;
  const path = setting.secret && (env[`${name}_FILE`]?.trim() || undefined);
  if (direct && path) problems.push({ name, problem: `is set together with ${name}_FILE; unset one of them` });
  if (direct) return meant(direct, setting);
  if (!path) return setting.default;
  try {
    const content = readText(path).trim();
    if (content === '') throw new Error('is empty');
    return meant(content, setting);
  } catch (error) {
    problems.push({ name: `${name}_FILE`, problem: `the file ${path} cannot be used: ${reasonOf(error)}` });
    return undefined;
  }
}

/** @throws Error for a text that is not meant to be a value of the setting. */
function meant(text: string, { placeholder }: Setting): string {
  if (/^["'“”„‘’].*["'“”„‘’]$/s.test(text)) {
    throw new Error("stands in quotation marks, which Docker's --env-file does not take off; write it without them");
  }
  if (isPlaceholder(text, placeholder)) {
    throw new Error('is still the placeholder of the documentation; put your own value in its place');
  }
  return text;
}

/** Where a setting has no default, the table says what null or an empty list means (`without`). 0 turns off, or sets no end. */
function assemble(values: Values, strangers: readonly ConfigProblem[]) {
  const orNull = <N extends SettingName>(name: N) => (values[name] ?? null) as Exclude<Values[N], undefined> | null;
  const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = values;
  const companyUrl = values.FLOWLU_COMPANY && `https://${values.FLOWLU_COMPANY}.flowlu.com/api/v1/module`;
  return deepFreeze({
    database: {
      url: orNull('DATABASE_URL'),
      migrateUrl: orNull('MIGRATE_DATABASE_URL'),
      readerUrl: orNull('READER_DATABASE_URL'),
      /** Most connections per process. */
      pool: values.DATABASE_POOL,
      sleepMs: values.DATABASE_SLEEP,
      /** Absolute path. */
      dataDir: values.DATA_DIR,
    },
    flowlu: {
      /** Without a trailing slash; null when no portal is named. */
      baseUrl: values.FLOWLU_BASE_URL ?? companyUrl ?? null,
      apiKey: orNull('FLOWLU_API_KEY'),
      oauth: oauthOf(values),
      httpsProxy: values.HTTPS_PROXY,
      noProxy: values.NO_PROXY,
      requestsPerSecond: values.FLOWLU_REQUESTS_PER_SECOND,
      backgroundShare: values.FLOWLU_BACKGROUND_SHARE,
      timezone: values.FLOWLU_TIMEZONE,
      models: values.FLOWLU_MODELS ?? parseModelPatterns([]),
      extraModels: values.FLOWLU_EXTRA_MODELS ?? [],
    },
    privacy: {
      omit: values.FLOWLU_OMIT_FIELDS ?? [],
      hash: values.FLOWLU_HASH_FIELDS ?? [],
      /** Null only where nothing is hashed. */
      hashSecret: orNull('FLOWLU_HASH_SECRET'),
    },
    webhook: {
      /** Empty: `serve` has to refuse to start. */
      secrets: values.WEBHOOK_SECRET ?? [],
      trust: values.WEBHOOK_TRUST,
      modelNames: values.WEBHOOK_MODEL_NAMES ?? [],
      allowFrom: orNull('WEBHOOK_ALLOW_FROM'),
      bodyLimitBytes: values.WEBHOOK_BODY_LIMIT,
    },
    http: {
      host: values.HOST,
      port: values.PORT,
      /** Null: plain HTTP. */
      tls: certFile && keyFile ? { certFile, keyFile } : null,
      plainHttp: values.PLAIN_HTTP,
      trustedProxies: values.TRUSTED_PROXIES ?? [],
      statusToken: orNull('STATUS_TOKEN'),
      shutdownGraceMs: values.SHUTDOWN_GRACE,
    },
    reconcile: {
      intervalMs: values.RECONCILE_INTERVAL,
      sweepIntervalMs: values.SWEEP_INTERVAL,
      settleGraceMs: values.SETTLE_GRACE,
      deliveryRetentionMs: values.DELIVERY_RETENTION,
      failedRetentionMs: values.FAILED_RETENTION,
    },
    app: {
      /** Without a trailing slash. */
      publicUrl: orNull('PUBLIC_URL'),
      id: orNull('APP_ID'),
      contact: orNull('APP_CONTACT'),
      scopes: values.APP_SCOPES ?? [],
      frameAncestors: orNull('APP_FRAME_ANCESTORS'),
    },
    history: { keeps: values.HISTORY === 'on', retentionMs: values.HISTORY_RETENTION },
    logLevel: values.LOG_LEVEL,
    /** What the environment has under names that look like settings and are none. */
    strangers,
    /** Every secret value, for the redaction of logs and error messages. */
    secrets: secretsIn(values),
  });
}

/** Null without OAuth; what it needs is there, since nothing conflicts. */
function oauthOf(values: Values) {
  if (values.FLOWLU_CLIENT_ID === undefined) return null;
  return {
    clientId: values.FLOWLU_CLIENT_ID,
    clientSecret: values.FLOWLU_CLIENT_SECRET ?? null,
    authorizeUrl: values.FLOWLU_OAUTH_AUTHORIZE_URL ?? '',
    tokenUrl: values.FLOWLU_OAUTH_TOKEN_URL ?? '',
    refreshUrl: values.FLOWLU_OAUTH_REFRESH_URL ?? null,
    redirectUrl: values.FLOWLU_OAUTH_REDIRECT_URL ?? `${values.PUBLIC_URL}/oauth/callback`,
    /** The first encrypts, all decrypt; see `decodeTokenKey`. */
    tokenKeys: values.TOKEN_KEY ?? [],
  };
}

/** The values of all rows that the table marks as secret. */
function secretsIn(values: Values): readonly string[] {
  const found = settings.flatMap(([name, { secret }]) => {
    const value = values[name] as string | readonly string[] | undefined;
    if (secret === undefined || value === undefined) return [];
    const texts = typeof value === 'string' ? [value] : value;
    return secret === 'password' ? texts.flatMap(passwordsIn) : texts;
  });
  return [...new Set(found)];
}

/** Freezes plain data all the way down. */
function deepFreeze<const T extends object>(data: T): T {
  for (const inner of Object.values(data)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(data);
}
