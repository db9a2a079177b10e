/** What is wrong between settings that are each right by themselves. */
import type { ConfigProblem } from './errors.ts';
import type { SettingName, Values } from './table.ts';

type Check = readonly [isWrong: boolean, name: SettingName, problem: string];

export function conflictsOf(values: Values): readonly ConfigProblem[] {
  const { FLOWLU_OMIT_FIELDS = [], FLOWLU_HASH_FIELDS = [], TLS_CERT_FILE: cert, TLS_KEY_FILE: key } = values;
  const portal = values.FLOWLU_COMPANY ?? values.FLOWLU_BASE_URL;
  const omitted = new Set(FLOWLU_OMIT_FIELDS.map(({ model, field }) => `${model}.${field}`));
  const twice = FLOWLU_HASH_FIELDS.map(({ model, field }) => `${model}.${field}`).filter((name) => omitted.has(name));
  const checks: readonly Check[] = [
    [
      Boolean(values.FLOWLU_API_KEY && portal === undefined),
      'FLOWLU_COMPANY',
      'is needed with FLOWLU_API_KEY, to know which portal to read',
    ],
    ...(values.FLOWLU_CLIENT_ID === undefined ? [] : oauthChecks(values)),
    [Boolean(cert && !key), 'TLS_KEY_FILE', 'is needed with TLS_CERT_FILE'],
    [Boolean(key && !cert), 'TLS_CERT_FILE', 'is needed with TLS_KEY_FILE'],
    [
      values.WEBHOOK_TRUST === 'verify' && !values.FLOWLU_API_KEY && !values.FLOWLU_CLIENT_ID,
      'FLOWLU_API_KEY',
      'or a login is needed with WEBHOOK_TRUST=verify, to read what a webhook hints at',
    ],
    [
      FLOWLU_HASH_FIELDS.length > 0 && values.FLOWLU_HASH_SECRET === undefined,
      'FLOWLU_HASH_SECRET',
      'is needed with FLOWLU_HASH_FIELDS; make one with: openssl rand -hex 32',
    ],
    [twice.length > 0, 'FLOWLU_HASH_FIELDS', `also in FLOWLU_OMIT_FIELDS: ${twice.join(', ')}`],
    [
      values.MIGRATE_DATABASE_URL !== undefined && values.DATABASE_URL === undefined,
      'DATABASE_URL',
      'is needed with MIGRATE_DATABASE_URL: the embedded server has one role',
    ],
  ];
  return checks.flatMap(([isWrong, name, problem]) => (isWrong ? [{ name, problem }] : []));
}

function oauthChecks(values: Values): readonly Check[] {
  const missing = (name: SettingName, value: unknown, why: string): Check => [
    value === undefined,
    name,
    `is needed with FLOWLU_CLIENT_ID, ${why}`,
  ];
  return [
    [values.FLOWLU_API_KEY !== undefined, 'FLOWLU_CLIENT_ID', 'is set together with FLOWLU_API_KEY; unset one of them'],
    missing('FLOWLU_OAUTH_AUTHORIZE_URL', values.FLOWLU_OAUTH_AUTHORIZE_URL, 'to log in'),
    missing('FLOWLU_OAUTH_TOKEN_URL', values.FLOWLU_OAUTH_TOKEN_URL, 'to get tokens'),
    missing('TOKEN_KEY', values.TOKEN_KEY, 'since tokens are stored encrypted only: openssl rand -hex 32'),
    missing(
      'PUBLIC_URL',
      values.FLOWLU_OAUTH_REDIRECT_URL ?? values.PUBLIC_URL,
      'or FLOWLU_OAUTH_REDIRECT_URL, to come back from logging in',
    ),
    missing('FLOWLU_COMPANY', values.FLOWLU_COMPANY ?? values.FLOWLU_BASE_URL, 'to know which portal to read'),
  ];
}
