/** Connection strings, read as libpq reads them, and shown without their secrets. */

/** A connection string that cannot be used. The message never repeats the string itself. */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';
}

const TLS_MODES = ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'] as const;
export type TlsMode = (typeof TLS_MODES)[number];
const SERVER_KINDS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type ServerKind = (typeof SERVER_KINDS)[number];

export interface Host {
  /** As it is written: for messages, and for the name that the server's certificate must bear. */
  readonly name: string;
  /** Where to connect to: a host name, an address, or the directory of a Unix socket. */
  readonly address: string;
  readonly port: number;
}

export interface Tls {
  readonly mode: TlsMode;
  /** True where the server expects TLS without being asked whether it has it. */
  readonly isDirect: boolean;
  /** Files; `system` for the authorities that Node.js knows. */
  readonly rootCert?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly keyPassword?: string | undefined;
}

/** What a connection string says. What is not in it, the driver takes from its environment (`PGUSER`, `PGPASSWORD`). */
export interface Target {
  readonly hosts: readonly Host[];
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: string | undefined;
  readonly tls: Tls;
  readonly kind: ServerKind;
  /** How long each host may take to answer, in seconds, where that is said. */
  readonly connectTimeoutSeconds?: number | undefined;
  /** False for poolers that do not keep prepared statements. */
  readonly prepares: boolean;
  /** For the server, such as `-c search_path=public`. */
  readonly options?: string | undefined;
  /** Names of the parameters that nothing here understands. */
  readonly unused: readonly string[];
}

const READ = new Set([
  ...['host', 'hostaddr', 'port', 'dbname', 'user', 'password', 'options', 'connect_timeout', 'target_session_attrs'],
  ...['ssl', 'sslmode', 'sslnegotiation', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'pgbouncer', 'prepare'],
]);
/**
 * Parameters that hosts and other clients put into connection strings, and that change nothing here: how they keep
 * connections, pools and statements, what this program sets itself, and what the driver does not have.
 */
const HARMLESS = new Set([
  ...['application_name', 'fallback_application_name', 'client_encoding', 'channel_binding', 'gssencmode', 'sslsni'],
  ...['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout', 'krbsrvname'],
  ...['load_balance_hosts', 'sslcompression', 'sslcertmode', 'connection_limit', 'pool_timeout', 'pool_size'],
  ...['max_pool_size', 'schema', 'statement_cache_size', 'supa', 'uselibpqcompat', 'workaround', 'sslaccept'],
]);

const FORM = 'expected postgres://user:password@host:5432/database';
const ENCODING = 'characters such as @ : / ? # % in its user, password or database must be percent-encoded';

/** Reads a connection string. @throws DatabaseUrlError */
export function readTarget(url: string): Target {
  const [, rest] = /^postgres(?:ql)?:\/\/(.*)$/s.exec(url.trim()) ?? [];
  if (rest === undefined) throw new DatabaseUrlError(`not a connection string: ${FORM}`);
  const { login, hosts, path, query } = partsOf(rest);
  const [, user, password] = /^([^:]*)(?::(.*))?$/s.exec(login) ?? [];
  const given = parametersOf(query);
  const names = listOf(given.get('host')) ?? hosts.map(({ name }) => name);
  const addresses = listOf(given.get('hostaddr')) ?? [];
  const ports = listOf(given.get('port')) ?? hosts.map(({ port }) => port);
  const count = Math.max(names.length, addresses.length);
  if (addresses.length > 0 && names.some((name) => name !== '') && addresses.length !== names.length)
    throw new DatabaseUrlError('the connection string has another number of hostaddr than of hosts');
  if (ports.length > 1 && ports.length !== count)
    throw new DatabaseUrlError('the connection string has another number of ports than of hosts');
  return {
    hosts: Array.from({ length: count }, (_, index) => {
      const name = names[index] || addresses[index] || 'localhost';
      return {
        name,
        address: addresses[index] || name,
        port: portOf((ports.length === 1 ? ports[0] : ports[index]) || '5432'),
      };
    }),
    user: given.get('user') ?? (user ? decode(user) : undefined),
    password: given.get('password') ?? (password === undefined ? undefined : decode(password)),
    database: given.get('dbname') ?? (path ? decode(path) : undefined),
    tls: tlsOf(given),
    // The mirror writes; of several servers, one that does not is of no use.
    kind: oneOf(SERVER_KINDS, 'target_session_attrs', given, count > 1 ? 'read-write' : 'any'),
    connectTimeoutSeconds: secondsOf(given.get('connect_timeout')),
    prepares: given.get('prepare') !== 'false' && given.get('pgbouncer') !== 'true',
    options: given.get('options'),
    unused: [...given.keys()].filter((name) => !READ.has(name) && !HARMLESS.has(name)),
  };
}

function partsOf(rest: string) {
  const beforeQuery = /^[^/?]*/.exec(rest)?.[0] ?? '';
  // A password may hold a `?`, but then it ends before the first `/`.
  const authority = beforeQuery.includes('@') ? beforeQuery : (/^[^/]*@[^/?]*/.exec(rest)?.[0] ?? beforeQuery);
  const at = authority.lastIndexOf('@');
  const [, path = '', query = ''] = /^(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest.slice(authority.length)) ?? [];
  // A password with a slash in it: what would be taken for the host is a piece of it.
  if (path.includes('@') || /^[^=]*@/.test(query))
    throw new DatabaseUrlError(`the connection string cannot be read: ${ENCODING}`);
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map((written) => {
      const [whole, address, name, port = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(written) ?? [];
      if (whole === undefined) throw new DatabaseUrlError(`the connection string cannot be read: ${ENCODING}`);
      return { name: decode(address ?? name ?? ''), port };
    });
  return { login: at < 0 ? '' : authority.slice(0, at), hosts, path, query };
}

function parametersOf(query: string): ReadonlyMap<string, string> {
  const pairs = query.split('&').filter((pair) => pair !== '');
  return new Map(
    pairs.map((pair) => {
      const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? [];
      return [decode(name), decode(value)] as const;
    }),
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new DatabaseUrlError(`the connection string has a % that begins no escape: ${ENCODING}`);
  }
}

const listOf = (text: string | undefined): readonly string[] | undefined => text?.split(',');

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new DatabaseUrlError(`the port of the connection string is none: ${FORM}`);
  return port;
}

/** As with libpq, 0 and what is no number mean no limit of their own. */
function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,3}$/.test(text) ? Number(text) : undefined;
}

function oneOf<const T extends string>(
  values: readonly T[],
  name: string,
  given: ReadonlyMap<string, string>,
  otherwise: T,
): T {
  const value = given.get(name);
  if (value === undefined || value === '') return otherwise;
  const found = values.find((one) => one === value);
  if (found === undefined) throw new DatabaseUrlError(`${name} of the connection string must be ${values.join(', ')}`);
  return found;
}

/** What `ssl=` of other clients means. */
const SSL_WORDS: Readonly<Record<string, TlsMode>> = {
  true: 'require',
  1: 'require',
  false: 'disable',
  0: 'disable',
  'no-verify': 'no-verify',
};

function tlsOf(given: ReadonlyMap<string, string>): Tls {
  const isDirect = given.get('sslnegotiation') === 'direct';
  const rootCert = given.get('sslrootcert') || undefined;
  const fallback = rootCert === 'system' ? 'verify-full' : isDirect ? 'require' : 'prefer';
  const mode = oneOf(TLS_MODES, 'sslmode', given, SSL_WORDS[given.get('ssl') ?? ''] ?? fallback);
  return {
    // With a certificate to check against, it is checked.
    mode: mode === 'require' && rootCert !== undefined ? 'verify-ca' : mode,
    isDirect,
    rootCert,
    cert: given.get('sslcert') || undefined,
    key: given.get('sslkey') || undefined,
    keyPassword: given.get('sslpassword'),
  };
}

/** The passwords of a connection string, as they are written and as they are meant. */
export function passwordsIn(url: string): readonly string[] {
  const { login, query } = partsOf(url.replace(/^\w+:\/\//, ''));
  const [, user, password = ''] = /^([^:]*):(.*)$/s.exec(login) ?? [];
  const parameters = [...query.matchAll(/(?:^|&)(?:ssl)?password=([^&]+)/g)].map(([, value = '']) => value);
  const written = [password === user ? '' : password, ...parameters].filter((value) => value !== '');
  return written.flatMap((value) => [value, decode(value)]);
}

/** The connection string with another login in it, and no password but that one. */
export function withLogin(url: string, user: string, password: string | null): string {
  const { login } = partsOf(url.replace(/^\w+:\/\//, ''));
  const [, scheme = '', rest = ''] = /^(\w+:\/\/)(.*)$/s.exec(url) ?? [];
  const secret = password === null ? '' : `:${encodeURIComponent(password)}`;
  const bare = rest.slice(login === '' && !rest.startsWith('@') ? 0 : login.length + 1);
  const [address = '', query] = bare.split(/\?(.*)/s);
  const kept = (query ?? '').split('&').filter((pair) => pair !== '' && !/^(user|(ssl)?password)=/.test(pair));
  return `${scheme}${encodeURIComponent(user)}${secret}@${address}${kept.length > 0 ? `?${kept.join('&')}` : ''}`;
}

/** The connection string with `***` for the password, for logs, pages and messages. */
export function redactUrl(url: string): string {
  return (
    url
      // Greedy up to the last @ of the authority: an unescaped @ or / in a password must not leak its tail.
      .replace(/^([a-z][a-z0-9+.-]*:\/\/[^:@/?#]*):.*@/is, '$1:***@')
      .replace(/([?&\s](?:ssl)?password=)[^&\s]*/gi, '$1***')
  );
}
