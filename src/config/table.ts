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

const row = <P, const R extends Omit<Setting, 'parser' | 'help'>>(parser: P, help: string, more: R) => ({
  parser,
  help,
  ...more,
});

const GROUPS = {
  Database: {
    DATABASE_URL: row(address.databaseUrl, 'PostgreSQL (14 or later) that holds the mirror', {
      without: 'an embedded PostgreSQL under DATA_DIR',
      secret: 'password',
      placeholder: 'postgres://flowlu:change-me@localhost:5432/flowlu',
    }),
    MIGRATE_DATABASE_URL: row(
      address.databaseUrl,
      'the same database, as the role that owns the schema; DATABASE_URL then needs no more than the role flowlu_writer_<database>',
      {
        without: 'as DATABASE_URL',
        secret: 'password',
        placeholder: 'postgres://flowlu_owner:change-me@localhost:5432/flowlu',
      },
    ),
    READER_DATABASE_URL: row(
      address.databaseUrl,
      'the same database, as a login that may only read: what agents use (`mcp`)',
      {
        without: 'a login of its own, made as the owner',
        secret: 'password',
        placeholder: 'postgres://reader:change-me@localhost:5432/flowlu',
      },
    ),
    DATABASE_POOL: row(parse.wholeNumber(2, 200), 'most database connections that one process opens', {
      default: '10',
    }),
    DATABASE_SLEEP: row(
      parse.duration('1s', '1d', '30m'),
      'how long `serve` leaves the database alone while nothing comes in, so that a serverless one can sleep; changes without a webhook then appear up to that much later; 0 turns it off',
      { default: '0' },
    ),
    DATA_DIR: row(parse.path, 'directory of the embedded PostgreSQL', { default: '.flowlu-mirror' }),
  },
  'Flowlu portal': {
    FLOWLU_COMPANY: row(address.company, 'which portal to read', { example: 'acme' }),
    FLOWLU_BASE_URL: row(
      address.apiUrl,
      'address of the API, for another edition or a test server; wins over FLOWLU_COMPANY',
      { without: 'https://{company}.flowlu.com/api/v1/module', example: 'https://acme.flowlu.com/api/v1/module' },
    ),
    FLOWLU_API_KEY: row(secrets.token, 'API key; without it the mirror relies on webhooks alone', {
      secret: 'value',
      placeholder: 'change-me',
    }),
    HTTPS_PROXY: row(address.proxyUrl, 'proxy that requests to the portal go through', {
      without: 'no proxy, or that of https_proxy',
      secret: 'password',
      example: 'http://proxy.example.com:3128',
    }),
    NO_PROXY: row(parse.text, 'hosts reached without the proxy, comma-separated; * for all', {
      without: 'none, or those of no_proxy',
      example: 'acme.flowlu.com,.internal',
    }),
    FLOWLU_REQUESTS_PER_SECOND: row(
      parse.number(0, 100_000),
      'API requests per second that all replicas together may make; 0 sets no limit',
      { default: '1' },
    ),
    FLOWLU_BACKGROUND_SHARE: row(
      parse.number(0.01, 1),
      'share of these requests that `serve` may use to look for changes; it uses less while other work needs them',
      { default: '0.5' },
    ),
    FLOWLU_TIMEZONE: row(parse.timezone, 'time zone of the portal; its date-times carry none', { default: 'UTC' }),
    FLOWLU_MODELS: row(names.modelPatterns, 'models to mirror', {
      without: 'all',
      example: 'crm.*,task.tasks,!crm.lead_followers',
    }),
    FLOWLU_EXTRA_MODELS: row(
      names.extraModels,
      'models unknown to this program that are mirrored all the same, with views in flowlu_live',
      { without: 'none', example: 'asset.asset,orgchart.department' },
    ),
  },
  'Personal data': {
    FLOWLU_OMIT_FIELDS: row(names.fieldNames, 'fields that are left out before anything is stored', {
      without: 'none',
      example: 'crm.account.vat,crm.account.cf_12',
    }),
    FLOWLU_HASH_FIELDS: row(
      names.fieldNames,
      'fields of which only a keyed hash is stored: equal values stay equal, and cannot be looked up without the key',
      { without: 'none', example: 'crm.account.phone,crm.phones.phone' },
    ),
    FLOWLU_HASH_SECRET: row(secrets.hashSecret, 'key of these hashes; with another key the hashes differ', {
      secret: 'value',
      placeholder: 'change-me-to-32-random-characters-or-more',
    }),
  },
  'Webhooks and HTTP': {
    WEBHOOK_SECRET: row(secrets.webhookSecrets, 'secret in the webhook URL; `serve` does not start without it', {
      secret: 'value',
      placeholder: 'change-me-to-something-random',
    }),
    WEBHOOK_BODY_LIMIT: row(parse.size('1kb', '64mb'), 'largest body of a webhook', { default: '1mb' }),
    HOST: row(address.host, 'address to listen on', { default: '127.0.0.1' }),
    PORT: row(parse.wholeNumber(0, 65_535), 'port to listen on; 0 takes a free one', { default: '8787' }),
    STATUS_TOKEN: row(
      secrets.ownToken,
      'when set, /status, /status.json and /metrics require it (Bearer, or Basic password)',
      { secret: 'value', placeholder: 'change-me' },
    ),
    SHUTDOWN_GRACE: row(
      parse.duration('1ms', '10m', '10s'),
      'how long a stopping process may finish what it has begun',
      { default: '10s' },
    ),
    TLS_CERT_FILE: row(parse.path, 'certificate with its chain (PEM), to speak HTTPS; read again when it changes', {
      example: '/etc/flowlu-mirror/cert.pem',
    }),
    TLS_KEY_FILE: row(parse.path, 'private key of the certificate (PEM)', { example: '/etc/flowlu-mirror/key.pem' }),
    PLAIN_HTTP: row(
      parse.oneOf('private', 'anywhere'),
      'private: without a certificate, listen on loopback and private addresses only; anywhere: a proxy in front speaks HTTPS',
      { default: 'private' },
    ),
    WEBHOOK_ALLOW_FROM: row(address.networks, 'where webhooks may come from', {
      without: 'all networks',
      example: '203.0.113.0/24,2001:db8::/32',
    }),
    TRUSTED_PROXIES: row(address.networks, 'your own proxies, whose X-Forwarded-For is trusted', {
      without: 'none',
      example: 'loopback',
    }),
    WEBHOOK_MODEL_NAMES: row(
      names.modelNamePairs,
      'names in webhooks that differ from those of the API; many are known already',
      { without: 'none', example: 'crm.opportunities=crm.lead' },
    ),
    WEBHOOK_TRUST: row(
      parse.oneOf('body', 'verify'),
      'body: the contents of webhooks are trusted; verify: a webhook is only a hint, and the record is read from the API first',
      { default: 'body' },
    ),
  },
  Reconciliation: {
    RECONCILE_INTERVAL: row(
      parse.duration('100ms', '7d', '5m'),
      'longest interval at which `serve` asks a model in which changes were missed recently, as far as the budget allows; twelve times as long for calm ones; 0 turns it off',
      { default: '5m' },
    ),
    SWEEP_INTERVAL: row(
      parse.duration('100ms', '24d', '24h'),
      'longest interval at which `serve` compares a whole model, deletes included, as far as the budget allows; 0 turns it off',
      { default: '24h' },
    ),
    SETTLE_GRACE: row(parse.duration('1ms', '1d', '60s'), 'how long a doubtful row may wait before the API decides', {
      default: '60s',
    }),
    DELIVERY_RETENTION: row(parse.duration('1h', '3650d', '30d'), 'how long applied deliveries are kept; 0 keeps all', {
      default: '30d',
    }),
    FAILED_RETENTION: row(
      parse.duration('7d', '3650d', '180d'),
      'how long deliveries that could not be applied are kept, unless somebody replays or skips them; 0 keeps all',
      { default: '180d' },
    ),
  },
  'Custom app': {
    PUBLIC_URL: row(
      address.publicUrl,
      'address under which Flowlu and browsers reach this service, for the manifest and for logging in',
      { example: 'https://mirror.example.com' },
    ),
    APP_ID: row(names.appId, 'appId of the manifest', {
      without: 'the host of PUBLIC_URL, backwards',
      example: 'com.example.mirror',
    }),
    APP_CONTACT: row(parse.line, 'whom the manifest names as contact of the author: an e-mail address or a page', {
      without: 'the value of PUBLIC_URL',
      example: 'it@example.com',
    }),
    APP_SCOPES: row(names.scopeRules, 'scope codes that differ from the catalogue', {
      without: 'as in the catalogue',
      example: 'agile.*=agile,core.tag=-',
    }),
    APP_FRAME_ANCESTORS: row(address.origins, 'whose pages may show /app in a frame', {
      without: 'the origin of the portal',
      example: 'https://acme.flowlu.com',
    }),
    FLOWLU_CLIENT_ID: row(
      secrets.token,
      'client id of the app, to log in by OAuth instead of FLOWLU_API_KEY; never set both',
      { placeholder: 'change-me' },
    ),
    FLOWLU_CLIENT_SECRET: row(secrets.token, 'client secret of the app, if it has one', {
      secret: 'value',
      placeholder: 'change-me',
    }),
    FLOWLU_OAUTH_AUTHORIZE_URL: row(
      address.endpoint,
      'page on which a user allows the app; its query may hold further parameters that the portal needs',
      { placeholder: 'https://acme.flowlu.com/see-the-developer-hub' },
    ),
    FLOWLU_OAUTH_TOKEN_URL: row(address.endpoint, 'address at which codes and refresh tokens are exchanged', {
      placeholder: 'https://acme.flowlu.com/see-the-developer-hub',
    }),
    FLOWLU_OAUTH_REFRESH_URL: row(address.endpoint, 'address at which refresh tokens are exchanged, if it differs', {
      without: 'next to FLOWLU_OAUTH_TOKEN_URL',
      example: 'https://acme.flowlu.com/oauth2/refresh_token',
    }),
    FLOWLU_OAUTH_REDIRECT_URL: row(
      address.endpoint,
      'where the portal sends the browser back to, exactly as registered for the app; on a loopback address, `login` listens there itself',
      { without: '{PUBLIC_URL}/oauth/callback', example: 'https://mirror.example.com/oauth/callback' },
    ),
    TOKEN_KEY: row(secrets.tokenKeys, 'key that encrypts stored tokens', {
      secret: 'value',
      placeholder: '0000000000000000000000000000000000000000000000000000000000000000',
    }),
  },
  History: {
    HISTORY: row(
      parse.oneOf('on', 'off'),
      'whether every change is kept, for the views of flowlu_history; must be the same for all processes',
      { default: 'on' },
    ),
    HISTORY_RETENTION: row(
      parse.duration('31d', '36500d', '730d'),
      'how long changes are kept; 0 keeps all, and a month is dropped once all of it is older',
      { default: '0' },
    ),
  },
  Logging: {
    LOG_LEVEL: row(
      parse.oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
      'least severe level that is logged, as JSON lines on stdout',
      { default: 'info' },
    ),
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

/** The settings as text for `--help`. */
export function settingsHelp(): string {
  const lines = settings.map(([name, setting]) => {
    const { help, parser, default: fallback = setting.without } = setting;
    const first = `  ${name.padEnd(28)}${help}${fallback === undefined ? '' : ` (default: ${fallback})`}`;
    return parser.expects === '' ? first : `${first}\n${' '.repeat(30)}${parser.expects}`;
  });
  const note = 'A .env file in the working directory is read too. Secrets can also come from a file: NAME_FILE=/path.';
  return `Settings (environment variables):\n${lines.join('\n')}\n\n${note}\n`;
}
