/** What the ledger records of a delivery, in words for people. */
import type { Decision, DeliveryStatus } from '../store/deliveries/ledger.ts';
import type { GrantStatus } from '../store/grant.ts';
import { type KeyRefusal, type Measurement, PORTAL } from '../store/measurements.ts';

const DECISIONS: Readonly<Record<Decision, string>> = {
  inserted: 'the mirror did not know the record: a new row',
  updated: 'newer than the row: applied',
  tombstoned: 'the row is held for deleted from then on',
  revived: 'newer than the deletion: the row is live again',
  unchanged: 'the row said the same already',
  duplicate: 'the row said the same already: a repetition, or news that had come another way',
  stale: 'the row was newer already: left alone',
  kept: 'it could not be told whether it is newer: the row was kept',
  erased: 'the record was erased on request: not applied, and none of its values stored',
  ignored: 'it tells less than what the mirror knew',
};

const STATUSES: Readonly<Record<DeliveryStatus, string>> = {
  applied: 'applied',
  pending: 'stored, waiting to be applied',
  skipped: 'not applied',
  failed: 'could not be applied and was set aside',
  rejected: 'not understood as a webhook',
};

/** One sentence on what became of a delivery, with the reason where there is one. */
export function plainWords(delivery: {
  readonly status: DeliveryStatus;
  readonly decision: Decision | null;
  readonly reason: string | null;
}): string {
  const { status, decision, reason } = delivery;
  const what = decision === null ? STATUSES[status] : DECISIONS[decision];
  if (reason === null) return what;
  return status === 'applied' ? `${what}; doubtful, since ${reason}` : `${what}: ${reason}`;
}

/** One sentence on a key that is refused. */
export function refusalWords({ since, words }: KeyRefusal): string {
  return `Flowlu refuses the API key since ${since.slice(0, 16).replace('T', ' ')} (${words}): make a new one`;
}

/** What to do about a name that the catalogue does not know. */
export function foreignWords(suggestions: readonly string[]): string {
  const meant = suggestions.length === 0 ? '' : `; perhaps ${suggestions.join(' or ')}`;
  return `no model is called so${meant}: WEBHOOK_MODEL_NAMES can map it`;
}

/** What the portal does, as far as its own way goes and not that of single models. */
export function portalWords(portal: readonly Measurement[]): string {
  const facts = portal.filter(({ model }) => model === PORTAL);
  return facts.map(({ fact, value }) => `${fact.replaceAll('_', ' ')} ${JSON.stringify(value)}`).join(', ');
}

/** One sentence on the login by OAuth. */
export function grantWords({ state, issued_at, expires_at, problem }: GrantStatus): string {
  if (state === 'refused') return `${problem}: run flowlu-mirror login`;
  const ends = expires_at === null ? '' : `, good until ${expires_at}`;
  const trouble = problem === null ? '' : `; the last refresh brought nothing: ${problem}`;
  return `tokens of ${issued_at}${ends}${trouble}`;
}
