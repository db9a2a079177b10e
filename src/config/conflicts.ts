/** What is wrong between settings that are each right by themselves. */
import type { ConfigProblem } from './errors.ts';
import type { SettingName, Values } from './table.ts';

export function conflictsOf(values: Values): readonly ConfigProblem[] {
  const { FLOWLU_API_KEY: apiKey, FLOWLU_CLIENT_ID: clientId, TLS_CERT_FILE: cert, TLS_KEY_FILE: key } = values;
  const { FLOWLU_OMIT_FIELDS: omit = [], FLOWLU_HASH_FIELDS: hash = [], FLOWLU_HASH_SECRET: hashSecret } = values;
  const portal = values.FLOWLU_COMPANY ?? values.FLOWLU_BASE_URL;
  const omitted = new Set(omit.map(({ model, field }) => `${model}.${field}`));
  const twice = hash.map(({ model, field }) => `${model}.${field}`).filter((name) => omitted.has(name));
  const problems: ConfigProblem[] = [];
  const check = (isWrong: unknown, name: SettingName, problem: string) => {
    if (isWrong) problems.push({ name, problem });
  };
  check(apiKey && !portal, 'FLOWLU_COMPANY', 'is needed with FLOWLU_API_KEY, to know which portal to read');
  if (clientId !== undefined) {
    const needs = (name: SettingName, value: unknown, why: string) =>
      check(value === undefined, name, `is needed with FLOWLU_CLIENT_ID, ${why}`);
    const redirect = values.FLOWLU_OAUTH_REDIRECT_URL ?? values.PUBLIC_URL;
    check(apiKey, 'FLOWLU_CLIENT_ID', 'is set together with FLOWLU_API_KEY; unset one of them');
    needs('FLOWLU_OAUTH_AUTHORIZE_URL', values.FLOWLU_OAUTH_AUTHORIZE_URL, 'to log in');
    needs('FLOWLU_OAUTH_TOKEN_URL', values.FLOWLU_OAUTH_TOKEN_URL, 'to get tokens');
    needs('TOKEN_KEY', values.TOKEN_KEY, 'since tokens are stored encrypted only: openssl rand -hex 32');
    needs('PUBLIC_URL', redirect, 'or FLOWLU_OAUTH_REDIRECT_URL, to come back from logging in');
    needs('FLOWLU_COMPANY', portal, 'to know which portal to read');
  }
  check(cert && !key, 'TLS_KEY_FILE', 'is needed with TLS_CERT_FILE');
  check(key && !cert, 'TLS_CERT_FILE', 'is needed with TLS_KEY_FILE');
  const cannotAsk = values.WEBHOOK_TRUST === 'verify' && !apiKey && !clientId;
  check(cannotAsk, 'FLOWLU_API_KEY', 'or a login is needed with WEBHOOK_TRUST=verify, to read what a webhook hints at');
  const why = 'is needed with FLOWLU_HASH_FIELDS; make one with: openssl rand -hex 32';
  check(hash.length > 0 && hashSecret === undefined, 'FLOWLU_HASH_SECRET', why);
  check(twice.length > 0, 'FLOWLU_HASH_FIELDS', `also in FLOWLU_OMIT_FIELDS: ${twice.join(', ')}`);
  const ownerAlone = values.MIGRATE_DATABASE_URL !== undefined && values.DATABASE_URL === undefined;
  check(ownerAlone, 'DATABASE_URL', 'is needed with MIGRATE_DATABASE_URL: the embedded server has one role');
  return problems;
}
