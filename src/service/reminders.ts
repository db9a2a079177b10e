/** What a person has to do, said in the log when it is found and once a day while it lasts. */
import type { Logger } from '../core/log.ts';
import { type Finding, needsPerson } from '../status/findings.ts';

/** The same is said again after so long. */
const AGAIN_MS = 24 * 3_600_000;

/** Takes the findings of each look. @param now the clock in milliseconds */
export function createReminders(log: Pick<Logger, 'warn'>, now: () => number = Date.now) {
  let said = new Map<string, number>();
  return (findings: readonly Finding[]): void => {
    const next = new Map<string, number>();
    for (const { code, severity, models, sentence, remedy, command } of findings) {
      if (!needsPerson({ state: severity === 'note' ? 'good' : severity })) continue;
      const key = [code, ...(models ?? [])].join(' ');
      const last = said.get(key);
      const isDue = last === undefined || now() - last >= AGAIN_MS;
      if (isDue) log.warn({ finding: code, models, remedy, command }, sentence);
      next.set(key, isDue ? now() : last);
    }
    // What is over is forgotten, and said at once when it comes back.
    said = next;
  };
}
