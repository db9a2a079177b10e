/** A clock that has gone back: found until every model was read by the one that the database has now. */
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { count, span } from './words.ts';

export function judgeClock({ readAhead, hasApi }: Facts): Finding | null {
  if (readAhead === null) return null;
  const { models, ahead_s } = readAhead;
  const compared = `${count(models.length, 'model')} not compared with Flowlu since`;
  return {
    code: 'clock_set_back',
    severity: 'care',
    since: null,
    sentence: `The database's clock has gone back, by ${span(ahead_s)} or more: ${compared}`,
    remedy: `${hasApi ? '`serve` compares them by itself' : 'Only the API can tell what they lack'}. See to it that all hosts of the database keep the same time`,
    command: 'flowlu-mirror reconcile --full',
    models,
  };
}
