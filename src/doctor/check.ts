/** One thing that `doctor` has looked at. */
import type { Finding, FindingCode } from '../status/finding.ts';

export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'note' | 'warn' | 'fail';
  /** What was found. Never holds a secret. */
  readonly found: string;
  readonly advice?: string;
}

export type Report = (check: Check) => void;

export const ok = (name: string, found: string): Check => ({ name, status: 'ok', found });
export const warn = (name: string, found: string, advice: string): Check => ({ name, status: 'warn', found, advice });
export const fail = (name: string, found: string, advice: string): Check => ({ name, status: 'fail', found, advice });

/** Findings that a check of the portal comes upon as well. */
const NAMES: { readonly [C in FindingCode]?: string } = {
  key_refused: 'key',
  not_logged_in: 'login',
  login_refused: 'login',
  portal_silent: 'portal',
  webhooks_refused: 'webhook',
};

const STATUS = { bad: 'fail', care: 'warn', note: 'note' } as const;
/** Notes of the status page that a look at everything has, too. */
export const TOLD_NOTES: ReadonlySet<FindingCode> = new Set(['webhooks_refused', 'values_unfit']);

/** What the status page finds, in the same words; it sends to this look at everything, which is under way. */
export function checkOf({ code, severity, sentence, remedy, command }: Finding): Check {
  const typed = command === null || command === 'flowlu-mirror doctor --quick' ? null : `Run: ${command}`;
  const advice = [remedy, typed].filter((part) => part !== null).join('. ');
  return { name: NAMES[code] ?? 'mirror', status: STATUS[severity], found: sentence, advice };
}

export function namesOf(names: readonly string[], max = 8): string {
  return names.length > max ? `${names.slice(0, max).join(', ')} and ${names.length - max} more` : names.join(', ');
}

export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
