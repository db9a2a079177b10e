/** What a person has to do, said in the log when it was found twice in a row, once a day while it lasts, and when it is over. */
import type { Logger } from '../core/log.ts';
import type { Finding } from '../status/finding.ts';
import { needsPerson } from '../status/findings.ts';

const AGAIN_MS = 24 * 3_600_000;

/** Takes the findings of each look. @param now the clock in milliseconds */
export function createReminders(log: Pick<Logger, 'info' | 'warn'>, now: () => number = Date.now) {
  /** When each was said; null for what was seen once, as while the database was slow for a moment. */
  let seen = new Map<string, number | null>();
  const told = new Set<Finding['code']>();
  return (findings: readonly Finding[]): void => {
    const current = findings.filter(({ severity }) => needsPerson({ state: severity === 'note' ? 'good' : severity }));
    const codes = new Set(current.map(({ code }) => code));
    // Then nothing is known of the rest.
    const isBlind = codes.has('database_away');
    const next = new Map(isBlind ? seen : []);
    for (const { code, models, sentence, remedy, command } of current) {
      // Another remedy is another cause; a sentence differs with every count in it.
      const key = [code, remedy, models].join(' ');
      const last = seen.get(key);
      const isDue = last !== undefined && (last === null || now() - last >= AGAIN_MS);
      if (isDue) log.warn({ finding: code, models, remedy, command }, sentence);
      if (isDue) told.add(code);
      next.set(key, isDue ? now() : (last ?? null));
    }
    seen = next;
    const over = isBlind ? [] : [...told].filter((code) => !codes.has(code));
    for (const finding of over) {
      told.delete(finding);
      log.info({ finding }, 'what needed a person is over');
    }
  };
}
