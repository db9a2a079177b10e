import { findModel } from '../catalog/index.ts';
import type { Decision, DeliveryStatus } from '../store/deliveries/ledger.ts';
import type { GrantStatus } from '../store/grant.ts';
import { type FactName, type Facts, type Measurement, PORTAL } from '../store/measurements.ts';

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

/** One sentence on the result of a delivery, with the reason if there is one. */
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

export function headerWords(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ');
}

const honours = (what: string) => (how: Facts['order_by_id']) => `${what} ${how}`;

export const TEXTS: Readonly<Record<Facts['webhook_texts'], string>> = {
  plain: 'as the API does',
  entities: 'with entities of HTML or ends of lines that the API does not have',
  decoded: 'without the entities of HTML or ends of lines that the API has',
};

const FACT_WORDS: { readonly [N in FactName]: (value: Facts[N]) => string } = {
  page_size: (rows) => `${rows} rows on a page`,
  bearable_size: (rows) => `pages of more than ${rows} rows fail`,
  order_by_id: honours('sorting by id'),
  id_filter: honours('filter on ids'),
  date_filter: honours('filter on dates'),
  newest_first: honours('sorting by time of change'),
  total: (how) =>
    how === 'missing' ? 'no count of rows' : `counts ${how === 'whole' ? 'without filters' : 'filtered'}`,
  webhook_texts: (how) => (how === 'plain' ? '' : `webhooks bring texts ${TEXTS[how]}`),
  get: (words) => `single records: ${words}`,
  rights: ({ user, admin }) => `read with the rights of ${user}${admin === true ? ', an administrator' : ''}`,
  throttled_at: (rate) => `has complained at ${rate} requests a second`,
  asked_up_to: (id) => `rows that lists lack are asked for singly, up to ${id}`,
  free_ids_asked_up_to: (id) => `missing rows are looked for under ids that no list names, up to ${id}`,
};

/** What the portal does in general, as opposed to single models. */
export function portalWords(portal: readonly Measurement[]): string {
  const facts = portal.filter(({ model }) => model === PORTAL);
  const said = facts.map(({ fact, value }) => (FACT_WORDS[fact] as (value: unknown) => string)(value));
  return said.filter((words) => words !== '').join(', ');
}

/** What `DATABASE_SLEEP` does; null if it is not set. */
export const napWords = (seconds: number) =>
  seconds === 0 ? null : `the database is left alone for up to ${span(seconds)} at a time while nothing comes in`;

/** One sentence on the OAuth login. */
export function grantWords({ state, issued_at, expires_at, problem }: GrantStatus, now: string): string {
  if (state === 'refused') return `${problem}: run flowlu-mirror login`;
  const isOver = expires_at !== null && Date.parse(expires_at) < Date.parse(now);
  const ends =
    expires_at === null
      ? ''
      : isOver
        ? `, ended ${ageOf(expires_at, now)}`
        : `, good for another ${took(now, expires_at)}`;
  const trouble = problem === null ? '' : `; the last refresh brought nothing: ${problem}`;
  return `tokens given ${ageOf(issued_at, now)}${ends}${trouble}`;
}

/** A count with grouped digits, and the word for what is counted. */
export function count(number: number | bigint, one = '', many = `${one}s`): string {
  const digits = number.toLocaleString('en-US');
  return one === '' ? digits : `${digits} ${Number(number) === 1 ? one : many}`;
}

export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** Models that the portal lacks, worded the same wherever they are counted. */
export const absentWords = (models: number) =>
  `${count(models, 'model')} ${models === 1 ? 'is' : 'are'} not in this portal`;

interface Filling {
  readonly model: string;
  readonly rows: number;
  readonly deleted_rows: number;
  /** Whether the portal lacks it. */
  readonly absent: boolean;
  /** When it was last read completely; null before. */
  readonly last_reconciled_at: string | null;
}

/** Models without rows in the mirror, by reason, each with words that count them. */
export function withoutRows<M extends Filling>(models: readonly M[]) {
  const none = models.filter(({ rows, deleted_rows }) => rows + deleted_rows === 0);
  const [lacking, present] = [none.filter(({ absent }) => absent), none.filter(({ absent }) => !absent)];
  const isListed = ({ model }: M) => findModel(model)?.listable !== false;
  const [listed, others] = [present.filter(isListed), present.filter((model) => !isListed(model))];
  const isUnread = ({ last_reconciled_at }: M) => last_reconciled_at === null;
  const [unread, empty] = [listed.filter(isUnread), listed.filter((model) => !isUnread(model))];
  const are = (own: readonly M[]) => `${count(own.length, 'model')} ${own.length === 1 ? 'is' : 'are'}`;
  return [
    { id: 'absent', models: lacking, words: absentWords(lacking.length) },
    { id: 'unread', models: unread, words: `${count(unread.length, 'model')} not read yet and without a row` },
    { id: 'empty', models: empty, words: `${are(empty)} empty` },
    { id: 'by-webhooks', models: others, words: `${are(others)} filled by webhooks alone` },
  ].filter((group) => group.models.length > 0);
}

/** The first names, and how many more there are. */
export function listed(names: readonly string[], shown = 3): string {
  const rest = names.length - shown;
  return rest > 1 ? `${names.slice(0, shown).join(', ')} and ${rest} more` : names.join(', ');
}

/** A duration in its largest unit: 12 s, 4 min, 3 h, 5 d. */
export function span(seconds: number): string {
  if (seconds < 100) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** The time between two times in ISO 8601. */
export const took = (from: string, to: string) => span((Date.parse(to) - Date.parse(from)) / 1_000);

/** How long ago a time was, or how far ahead it is. Both in ISO 8601. */
export function ageOf(at: string, now: string): string {
  const seconds = (Date.parse(now) - Date.parse(at)) / 1_000;
  return seconds < -1 ? `in ${span(-seconds)}` : `${span(seconds)} ago`;
}
