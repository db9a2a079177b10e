/** The token of `/status`, `/status.json` and `/metrics`. */
import type { Context, MiddlewareHandler } from 'hono';
import type { Logger } from '../core/log.ts';
import { createAttemptCounter } from './attempts.ts';
import { createSecretCheck } from './gate.ts';

export interface TokenOptions {
  /** Null if none is required. */
  readonly token: string | null;
  readonly log: Logger;
  readonly sourceIn?: (context: Context) => string | null;
}

/** As with webhook secrets, the right token is always accepted; too many wrong ones are refused. */
export function requireToken({ token, log, sourceIn }: TokenOptions): MiddlewareHandler {
  const positionOf = createSecretCheck(token === null ? [] : [token]);
  const attempts = createAttemptCounter();
  return async (context, next) => {
    const given = context.req.header('authorization');
    if (token === null || positionOf(givenToken(given)) !== null) return next();
    context.header('WWW-Authenticate', 'Basic realm="flowlu-mirror", charset="UTF-8"');
    if (given === undefined) return context.json({ error: 'a token is required' }, 401);
    const source = sourceIn?.(context) ?? null;
    const { isTooMany, isFirstTooMany, retryAfter_s } = attempts.wrong(source, performance.now());
    if (isFirstTooMany) log.warn({ source }, 'too many wrong status tokens from one source');
    if (!isTooMany) return context.json({ error: 'a token is required' }, 401);
    return context.json({ error: 'too many wrong tokens' }, 429, { 'Retry-After': String(retryAfter_s) });
  };
}

/** The token of a Bearer header, or the password of a Basic one. */
function givenToken(header: string | undefined): string {
  const [scheme = '', value = ''] = (header ?? '').split(' ', 2);
  if (/^bearer$/i.test(scheme)) return value;
  if (!/^basic$/i.test(scheme)) return '';
  return Buffer.from(value, 'base64')
    .toString('utf8')
    .replace(/^[^:]*:/, '');
}
