/** Connection strings, as libpq reads them. */
import { describe, expect, it } from 'vitest';
import { DatabaseUrlError, passwordsIn, readTarget, redactUrl, withLogin } from '../../src/postgres/url.ts';

/** The hosts, user, password and database in one line. */
function shown(url: string): string {
  const { hosts, user, password, database } = readTarget(url);
  const list = hosts.map(({ address, port }) => `${address} ${port}`).join(', ');
  return [list, user, password, database].map((part) => part ?? '-').join(' | ');
}

describe('a connection string', () => {
  it.each([
    ['postgres://u:p@db.example:6543/app', 'db.example 6543 | u | p | app'],
    ['postgresql://u@db/app', 'db 5432 | u | - | app'],
    ['postgres://', 'localhost 5432 | - | - | -'],
    ['postgres:///app', 'localhost 5432 | - | - | app'],
    ['postgres://u:p@[::1]:5433/app', '::1 5433 | u | p | app'],
    ['postgres://[2001:db8::1]/app', '2001:db8::1 5432 | - | - | app'],
    ['postgres://u:p@a:1,b:2,[::1]/app', 'a 1, b 2, ::1 5432 | u | p | app'],
    ['postgres://postgres:pw@postgres,postgres-2/db', 'postgres 5432, postgres-2 5432 | postgres | pw | db'],
    ['postgres:///app?host=/var/run/postgresql', '/var/run/postgresql 5432 | - | - | app'],
    ['postgres://u:p@%2Frun%2Fpg/app', '/run/pg 5432 | u | p | app'],
    ['postgres://u:p@%2Frun%2Fpg:6432/app', '/run/pg 6432 | u | p | app'],
    ['postgres://?host=a,b&port=1,2&dbname=app&user=u&password=p', 'a 1, b 2 | u | p | app'],
    ['postgres://ignored:1/app?host=a,b&port=7', 'a 7, b 7 | - | - | app'],
    ['postgres://db/app?hostaddr=10.0.0.1', '10.0.0.1 5432 | - | - | app'],
    ['postgres://u:p@db/my%20db', 'db 5432 | u | p | my db'],
    ['postgres://u%40x:p%2F%3F%23%25@db/app', 'db 5432 | u@x | p/?#% | app'],
    ['postgres://u:p@ss#word@db/app', 'db 5432 | u | p@ss#word | app'],
    ['postgres://u:p?q@db/app', 'db 5432 | u | p?q | app'],
    ['postgres://u:a+b@db/app?options=-c%20geqo%3Doff', 'db 5432 | u | a+b | app'],
  ])('%s', (url, expected) => {
    expect(shown(url)).toBe(expected);
  });

  it.each([
    'mysql://u:hush@db/app',
    'u:hush@db/app',
    'host=db password=hush',
    'postgres://u:hush/hush@db:5432/app',
    'postgres://u:p@hush/w:rd@db:5432/app',
    'postgres://u:12/hush@db:5432/app',
    'postgres://u:p@hush?w/rd@db:5432/app',
    'postgres://u:hush@db:port/app',
    'postgres://u:hush@db:0/app',
    'postgres://u:hush@db:70000/app',
    'postgres://u:hush%zz@db/app',
    'postgres://u:hush@[::1/app',
    'postgres://u:hush@a,b/app?port=1,2,3',
    'postgres://u:hush@db/app?sslmode=hush',
    'postgres://u:hush@db/app?target_session_attrs=hush',
  ])('that cannot be read is refused, and not repeated: %s', (url) => {
    let error: unknown = null;
    try {
      readTarget(url);
    } catch (reason) {
      error = reason;
    }
    expect(error).toBeInstanceOf(DatabaseUrlError);
    expect(String(error)).not.toContain('hush');
  });

  it('says by its parameters how to connect', () => {
    const target = (parameters: string) => readTarget(`postgres://u:p@db/app?${parameters}`);
    expect(target('').tls.mode).toBe('prefer');
    expect(target('sslmode=require&sslrootcert=/ca.pem').tls).toMatchObject({ mode: 'verify-ca', rootCert: '/ca.pem' });
    expect(target('sslrootcert=system').tls.mode).toBe('verify-full');
    expect(target('sslnegotiation=direct').tls).toMatchObject({ mode: 'require', isDirect: true });
    expect(target('ssl=true').tls.mode).toBe('require');
    expect(target('sslcert=/c&sslkey=/k&sslpassword=x').tls).toMatchObject({ cert: '/c', key: '/k', keyPassword: 'x' });
    expect(target('connect_timeout=10').connectTimeoutSeconds).toBe(10);
    expect(target('connect_timeout=0').connectTimeoutSeconds).toBeUndefined();
    expect(target('pgbouncer=true').prepares).toBe(false);
    expect(target('prepare=false').prepares).toBe(false);
    expect(target('options=endpoint%3Dep-1').options).toBe('endpoint=ep-1');
    expect(target('target_session_attrs=any').kind).toBe('any');
    expect(readTarget('postgres://a,b/app').kind).toBe('read-write');
  });

  it('may hold what hosts and other clients add; what nothing here knows is named', () => {
    const added = 'supa=base-pooler.x&keepalives=1&uselibpqcompat=true&channel_binding=require&connection_limit=5';
    expect(readTarget(`postgres://u:p@db/app?${added}`).unused).toEqual([]);
    expect(readTarget('postgres://u:p@db/app?sslmod=require&statement_timeout=5').unused).toEqual([
      'sslmod',
      'statement_timeout',
    ]);
  });
});

describe('the passwords of a connection string', () => {
  it.each([
    ['postgres://u:hush@db/x', ['hush', 'hush']],
    ['postgres://u:hu%2Fsh@db/x', ['hu%2Fsh', 'hu/sh']],
    ['postgres://u:hu@sh@db/x', ['hu@sh', 'hu@sh']],
    ['postgres://db/x?user=u&password=hush&sslpassword=key', ['hush', 'hush', 'key', 'key']],
    ['postgres://flowlu:flowlu@db/x', []],
  ])('are found in %s', (url, passwords) => {
    expect(passwordsIn(url)).toEqual(passwords);
    for (const password of passwords) expect(redactUrl(url)).not.toContain(password);
  });

  it('give way to those of another login', () => {
    expect(withLogin('postgres://u:p@a,b:2/x?sslmode=require', 'reader', 'new')).toBe(
      'postgres://reader:new@a,b:2/x?sslmode=require',
    );
    expect(withLogin('postgres://db/x?user=u&password=hush', 'reader', null)).toBe('postgres://reader@db/x');
  });
});
