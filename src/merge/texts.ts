/** How the portal's webhooks spell texts: learnt from rows confirmed by the API and kept in the database. */
import type { Sql } from '../postgres/connection.ts';
import { knownFacts, measure, PORTAL } from '../store/measurements.ts';
import type { WebhookTexts } from './rule/spelling.ts';

export type TextSpelling = Awaited<ReturnType<typeof createTextSpelling>>;

/** @param onError called if the result could not be stored; the next process then learns it again */
export async function createTextSpelling(sql: Sql, onError: (error: unknown) => void) {
  let known: WebhookTexts = (await knownFacts(sql, PORTAL)).webhook_texts ?? null;
  return {
    known: () => known,
    learn(shown: WebhookTexts): void {
      if (shown === null || shown === known) return;
      known = shown;
      measure(sql, PORTAL, { webhook_texts: shown }).catch(onError);
    },
  };
}
