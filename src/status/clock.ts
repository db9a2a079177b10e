/** Findings about wrong clocks and zones. */
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { count, span } from './words.ts';

/** Found until every model has been read by the database's present clock. */
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

/** Changes that seem to have been read before they were made. */
export function judgeChangeAhead({ changeAhead, readAhead }: Facts): Finding | null {
  if (changeAhead === null || readAhead !== null) return null;
  return {
    code: 'zone_contradicted',
    severity: 'care',
    since: changeAhead.since,
    sentence: `FLOWLU_TIMEZONE cannot be the zone of the portal: ${changeAhead.words}`,
    remedy:
      "Set it to the zone of the portal's settings, then derive all rows again. Or the clock of the database is slow",
    command: 'flowlu-mirror rebuild',
  };
}
