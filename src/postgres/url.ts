/** Connection strings: reading them, and showing them without their secret. */

/** A connection string that cannot be used. The message never repeats the string itself. */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';
}

/**
 * Parameters that other clients put into connection strings. Our driver would hand each of them to
 * the server, which refuses what it does not know.
 */
const FOREIGN_PARAMETERS = [
  'channel_binding',
  'connection_limit',
  'gssencmode',
  'krbsrvname',
  'pgbouncer',
  'pool_timeout',
  'schema',
  'sslcert',
  'sslcrl',
  'sslkey',
];

const SEVERAL_HOSTS = /^[a-z]+:\/\/(?:[^@/?#]*@)?([^@/?#]*,[^@/?#]*)/i;

/** True for `postgres://a:1,b:2/…`. */
export const hasSeveralHosts = (url: string): boolean => SEVERAL_HOSTS.test(url);

/**
 * The connection string as the driver understands it. `?prepare=false` (or `?pgbouncer=true`) switches
 * prepared statements off for transaction poolers that cannot keep them.
 * @throws DatabaseUrlError when it is no postgres:// URL.
 */
export function driverUrl(url: string): string {
  // Several hosts, `a:1,b:2`, are legal here but not in a URL: parse with the first, then put all back.
  const hosts = SEVERAL_HOSTS.exec(url)?.[1];
  const single = hosts === undefined ? url : url.replace(hosts, hosts.split(',')[0] ?? '');
  // URL.parse would do, but Node 20 lacks it; the thrown error carries the whole string, so it is dropped.
  const parsed = URL.canParse(single) ? new URL(single) : null;
  if (parsed === null || !['postgres:', 'postgresql:'].includes(parsed.protocol)) {
    throw new DatabaseUrlError('not a connection string: expected postgres://user:password@host:port/database');
  }
  const query = parsed.searchParams;
  if (query.get('pgbouncer') === 'true' && !query.has('prepare')) query.set('prepare', 'false');
  for (const parameter of FOREIGN_PARAMETERS) query.delete(parameter);
  if (query.get('sslrootcert') !== 'system') query.delete('sslrootcert');
  const text = parsed.toString();
  return hosts === undefined ? text : text.replace(parsed.host, hosts);
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
