/**
 * The table of settings, in the order of the documentation. Nothing else says what settings there are: parsing,
 * defaults, help, `.env.example`, docs/settings.md, redaction and `NAME_FILE` all follow from it.
 */
import * as address from './addresses.ts';
import * as names from './names.ts';
import * as parse from './parsers.ts';
import * as secrets from './secrets.ts';

interface AnySetting {
  readonly parser: parse.Parser<unknown>;
  /** What it is for; what its values look like stands in `parser.expects`. */
  readonly help: string;
  /** The text that counts when nothing is set. */
  readonly default?: string;
  /** What happens without it, where there is no default text. */
  readonly without?: string;
  /** A value that could be used, for `.env.example`. */
  readonly example?: string;
  /** Stands in `.env.example` to be replaced; refused as it is. */
  readonly placeholder?: string;
}

interface SecretSetting extends AnySetting {
  /** What must never be shown: all of it, or the passwords in it. Can also be read from the file that `NAME_FILE` names. */
  readonly secret: 'value' | 'password';
  readonly parser: parse.Parser<string | readonly string[]>;
}

/** One row of the table. */
export type Setting = (AnySetting & { readonly secret?: undefined }) | SecretSetting;

const GROUPS = {
  Database: {
    DATABASE_URL: {
      parser: address.databaseUrl,
      without: 'an embedded PostgreSQL under DATA_DIR',
      secret: 'password',
      placeholder: 'postgres://flowlu:change-me@localhost:5432/flowlu',
      help: 'PostgreSQL (14 or later) that holds the mirror',
    },
    MIGRATE_DATABASE_URL: {
      parser: address.databaseUrl,
      without: 'as DATABASE_URL',
      secret: 'password',
      placeholder: 'postgres://flowlu_owner:change-me@localhost:5432/flowlu',
      help: 'the same database, as the role that owns the schema; DATABASE_URL then needs no more than the role flowlu_writer_<database>',
    },
    READER_DATABASE_URL: {
      parser: address.databaseUrl,
      without: 'a login of its own, made as the owner',
      secret: 'password',
      placeholder: 'postgres://reader:change-me@localhost:5432/flowlu',
      help: 'the same database, as a login that may only read: what agents use (`mcp`)',
    },
    DATABASE_POOL: {
      parser: parse.wholeNumber(2, 200),
      default: '10',
      help: 'most database connections that one process opens',
    },
    DATABASE_SLEEP: {
      parser: parse.duration('1s', '1d', '30m'),
      default: '0',
      help: 'how long `serve` leaves the database alone while nothing comes in, so that a serverless one can sleep; changes without a webhook then appear up to that much later; 0 turns it off',
    },
    DATA_DIR: { parser: parse.path, default: '.flowlu-mirror', help: 'directory of the embedded PostgreSQL' },
  },
  'Flowlu portal': {
    FLOWLU_COMPANY: { parser: address.company, example: 'acme', help: 'which portal to read' },
    FLOWLU_BASE_URL: {
      parser: address.apiUrl,
      without: 'https://{company}.flowlu.com/api/v1/module',
      example: 'https://acme.flowlu.com/api/v1/module',
      help: 'address of the API, for another edition or a test server; wins over FLOWLU_COMPANY',
    },
    FLOWLU_API_KEY: {
      parser: secrets.token,
      secret: 'value',
      placeholder: 'change-me',
      help: 'API key; without it the mirror relies on webhooks alone',
    },
    HTTPS_PROXY: {
      parser: address.proxyUrl,
      without: 'no proxy, or that of https_proxy',
      secret: 'password',
      example: 'http://proxy.example.com:3128',
      help: 'proxy that requests to the portal go through',
    },
    NO_PROXY: {
      parser: parse.text,
      without: 'none, or those of no_proxy',
      example: 'acme.flowlu.com,.internal',
      help: 'hosts reached without the proxy, comma-separated; * for all',
    },
    FLOWLU_REQUESTS_PER_SECOND: {
      parser: parse.number(0, 100_000),
      default: '1',
      help: 'API requests per second that all replicas together may make; 0 sets no limit',
    },
    FLOWLU_BACKGROUND_SHARE: {
      parser: parse.number(0.01, 1),
      default: '0.5',
      help: 'share of these requests that `serve` may use to look for changes; it uses less while other work needs them',
    },
    FLOWLU_TIMEZONE: {
      parser: parse.timezone,
      default: 'UTC',
      help: 'time zone of the portal; its date-times carry none',
    },
    FLOWLU_MODELS: {
      parser: names.modelPatterns,
      without: 'all',
      example: 'crm.*,task.tasks,!crm.lead_followers',
      help: 'models to mirror',
    },
    FLOWLU_EXTRA_MODELS: {
      parser: names.extraModels,
      without: 'none',
      example: 'asset.asset,orgchart.department',
      help: 'models unknown to this program that are mirrored all the same, with views in flowlu_live',
    },
  },
  'Personal data': {
    FLOWLU_OMIT_FIELDS: {
      parser: names.fieldNames,
      without: 'none',
      example: 'crm.account.vat,crm.account.cf_12',
      help: 'fields that are left out before anything is stored',
    },
    FLOWLU_HASH_FIELDS: {
      parser: names.fieldNames,
      without: 'none',
      example: 'crm.account.phone,crm.phones.phone',
      help: 'fields of which only a keyed hash is stored: equal values stay equal, and cannot be looked up without the key',
    },
    FLOWLU_HASH_SECRET: {
      parser: secrets.hashSecret,
      secret: 'value',
      placeholder: 'change-me-to-32-random-characters-or-more',
      help: 'key of these hashes; with another key the hashes differ',
    },
  },
  'Webhooks and HTTP': {
    WEBHOOK_SECRET: {
      parser: secrets.webhookSecrets,
      secret: 'value',
      placeholder: 'change-me-to-something-random',
      help: 'secret in the webhook URL; `serve` does not start without it',
    },
    WEBHOOK_BODY_LIMIT: { parser: parse.size('1kb', '64mb'), default: '1mb', help: 'largest body of a webhook' },
    HOST: { parser: address.host, default: '127.0.0.1', help: 'address to listen on' },
    PORT: { parser: parse.wholeNumber(0, 65_535), default: '8787', help: 'port to listen on; 0 takes a free one' },
    STATUS_TOKEN: {
      parser: secrets.ownToken,
      secret: 'value',
      placeholder: 'change-me',
      help: 'when set, /status, /status.json and /metrics require it (Bearer, or Basic password)',
    },
    SHUTDOWN_GRACE: {
      parser: parse.duration('1ms', '10m', '10s'),
      default: '10s',
      help: 'how long a stopping process may finish what it has begun',
    },
    TLS_CERT_FILE: {
      parser: parse.path,
      example: '/etc/flowlu-mirror/cert.pem',
      help: 'certificate with its chain (PEM), to speak HTTPS; read again when it changes',
    },
    TLS_KEY_FILE: {
      parser: parse.path,
      example: '/etc/flowlu-mirror/key.pem',
      help: 'private key of the certificate (PEM)',
    },
    PLAIN_HTTP: {
      parser: parse.oneOf('private', 'anywhere'),
      default: 'private',
      help: 'private: without a certificate, listen on loopback and private addresses only; anywhere: a proxy in front speaks HTTPS',
    },
    WEBHOOK_ALLOW_FROM: {
      parser: address.networks,
      without: 'all networks',
      example: '203.0.113.0/24,2001:db8::/32',
      help: 'where webhooks may come from',
    },
    TRUSTED_PROXIES: {
      parser: address.networks,
      without: 'none',
      example: 'loopback',
      help: 'your own proxies, whose X-Forwarded-For is trusted',
    },
    WEBHOOK_MODEL_NAMES: {
      parser: names.modelNamePairs,
      without: 'none',
      example: 'crm.opportunities=crm.lead',
      help: 'names in webhooks that differ from those of the API; many are known already',
    },
    WEBHOOK_TRUST: {
      parser: parse.oneOf('body', 'verify'),
      default: 'body',
      help: 'body: the contents of webhooks are trusted; verify: a webhook is only a hint, and the record is read from the API first',
    },
  },
  Reconciliation: {
    RECONCILE_INTERVAL: {
      parser: parse.duration('100ms', '7d', '5m'),
      default: '5m',
      help: 'longest interval at which `serve` asks a model in which changes were missed recently, as far as the budget allows; twelve times as long for calm ones; 0 turns it off',
    },
    SWEEP_INTERVAL: {
      parser: parse.duration('100ms', '24d', '24h'),
      default: '24h',
      help: 'longest interval at which `serve` compares a whole model, deletes included, as far as the budget allows; 0 turns it off',
    },
    SETTLE_GRACE: {
      parser: parse.duration('1ms', '1d', '60s'),
      default: '60s',
      help: 'how long a doubtful row may wait before the API decides',
    },
    DELIVERY_RETENTION: {
      parser: parse.duration('1h', '3650d', '30d'),
      default: '30d',
      help: 'how long applied deliveries are kept; 0 keeps all',
    },
    FAILED_RETENTION: {
      parser: parse.duration('7d', '3650d', '180d'),
      default: '180d',
      help: 'how long deliveries that could not be applied are kept, unless somebody replays or skips them; 0 keeps all',
    },
  },
  'Custom app': {
    PUBLIC_URL: {
      parser: address.publicUrl,
      example: 'https://mirror.example.com',
      help: 'address under which Flowlu and browsers reach this service, for the manifest and for logging in',
    },
    APP_ID: {
      parser: names.appId,
      without: 'the host of PUBLIC_URL, backwards',
      example: 'com.example.mirror',
      help: 'appId of the manifest',
    },
    APP_CONTACT: {
      parser: parse.line,
      without: 'the value of PUBLIC_URL',
      example: 'it@example.com',
      help: 'whom the manifest names as contact of the author: an e-mail address or a page',
    },
    APP_SCOPES: {
      parser: names.scopeRules,
      without: 'as in the catalogue',
      example: 'agile.*=agile,core.tag=-',
      help: 'scope codes that differ from the catalogue',
    },
    APP_FRAME_ANCESTORS: {
      parser: address.origins,
      without: 'the origin of the portal',
      example: 'https://acme.flowlu.com',
      help: 'whose pages may show /app in a frame',
    },
    FLOWLU_CLIENT_ID: {
      parser: secrets.token,
      placeholder: 'change-me',
      help: 'client id of the app, to log in by OAuth instead of FLOWLU_API_KEY; never set both',
    },
    FLOWLU_CLIENT_SECRET: {
      parser: secrets.token,
      secret: 'value',
      placeholder: 'change-me',
      help: 'client secret of the app, if it has one',
    },
    FLOWLU_OAUTH_AUTHORIZE_URL: {
      parser: address.endpoint,
      placeholder: 'https://acme.flowlu.com/see-the-developer-hub',
      help: 'page on which a user allows the app; its query may hold further parameters that the portal needs',
    },
    FLOWLU_OAUTH_TOKEN_URL: {
      parser: address.endpoint,
      placeholder: 'https://acme.flowlu.com/see-the-developer-hub',
      help: 'address at which codes and refresh tokens are exchanged',
    },
    FLOWLU_OAUTH_REFRESH_URL: {
      parser: address.endpoint,
      without: 'next to FLOWLU_OAUTH_TOKEN_URL',
      example: 'https://acme.flowlu.com/oauth2/refresh_token',
      help: 'address at which refresh tokens are exchanged, if it differs',
    },
    FLOWLU_OAUTH_REDIRECT_URL: {
      parser: address.endpoint,
      without: '{PUBLIC_URL}/oauth/callback',
      example: 'https://mirror.example.com/oauth/callback',
      help: 'where the portal sends the browser back to, exactly as registered for the app; on a loopback address, `login` listens there itself',
    },
    TOKEN_KEY: {
      parser: secrets.tokenKeys,
      secret: 'value',
      placeholder: '0000000000000000000000000000000000000000000000000000000000000000',
      help: 'key that encrypts stored tokens',
    },
  },
  History: {
    HISTORY: {
      parser: parse.oneOf('on', 'off'),
      default: 'on',
      help: 'whether every change is kept, for the views of flowlu_history; must be the same for all processes',
    },
    HISTORY_RETENTION: {
      parser: parse.duration('31d', '36500d', '730d'),
      default: '0',
      help: 'how long changes are kept; 0 keeps all, and a month is dropped once all of it is older',
    },
  },
  Logging: {
    LOG_LEVEL: {
      parser: parse.oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
      default: 'info',
      help: 'least severe level that is logged, as JSON lines on stdout',
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Setting>>>>;

type Group = (typeof GROUPS)[keyof typeof GROUPS];
type NameIn<G> = G extends unknown ? keyof G : never;
export type SettingName = NameIn<Group>;

type Row = readonly [name: SettingName, setting: Setting];

/** The groups with their rows, in the order of the table. */
export const groups = Object.entries(GROUPS).map(([group, rows]) => [group, Object.entries(rows) as Row[]] as const);

/** All rows. */
export const settings: readonly Row[] = groups.flatMap(([, rows]) => rows);

type ValueOf<S> = S extends { readonly parser: parse.Parser<infer T> }
  ? S extends { readonly default: string }
    ? T
    : T | undefined
  : never;

/** What the parsers made of the texts. */
export type Values = {
  readonly [Name in SettingName]: ValueOf<Extract<Group, { readonly [K in Name]: unknown }>[Name]>;
};
