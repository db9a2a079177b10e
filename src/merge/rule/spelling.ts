/**
 * Converts texts of webhooks to the API's spelling. Some portals put HTML entities and Windows line ends into webhooks
 * where the API does not, or the other way round. Without conversion, a row would alternate between two spellings of
 * one content. Pure.
 */
import type { Json, JsonObject } from '../../core/json.ts';
import { fieldValue, type Shape } from '../../record/record.ts';
import { hasPlainer, isOneText, plainText } from '../../record/spelling.ts';
import type { Facts } from '../../store/measurements.ts';
import type { Observation, Row } from './observation.ts';

/** What is known of a portal's webhooks; null until a row confirmed by the API shows it. */
export type WebhookTexts = Facts['webhook_texts'] | null;

/** Why a row whose texts may be spelt differently is read again. */
export const SPELLING = 'the API is asked how it spells the texts of a webhook';

/** Characters that the API may write differently than a webhook without entities. */
const SPECIAL = /[&<>"'\n]/;

/**
 * The observation with its texts spelt as in the row, as far as they mean the same; and what it `shows` about the
 * portal's webhooks. `isUnclear` if the API may spell a text differently and that is not known.
 */
export function respell(seen: Observation, row: Row | null, shape: Shape, known: WebhookTexts) {
  const records = [seen.says === 'announced' ? seen.record : null, 'previous' in seen ? seen.previous : null];
  const held = (key: string) => (row === null ? undefined : fieldValue(shape, row.record, key));
  const texts = records.flatMap((record) =>
    Object.entries(record ?? {}).flatMap(([key, value]): Text[] => {
      if (typeof value !== 'string') return [];
      const own = held(key);
      const isOther = own !== value && isOneText(own, value);
      return isOther || hasPlainer(value) || known === 'decoded' ? [{ value, own, isOther }] : [];
    }),
  );
  if (texts.length === 0) return { observation: seen, shows: null, isUnclear: false };
  const shows = row?.source === 'api' ? shown(texts) : null;
  const way = shows ?? known;
  const isUnclear =
    (way === null && texts.some(({ value }) => hasPlainer(value))) ||
    (way === 'decoded' && texts.some(({ value, own, isOther }) => !isOther && own !== value && SPECIAL.test(value)));
  const isSpelt = way === 'entities' || way === 'decoded';
  return { observation: isSpelt ? respelt(seen, held, way) : seen, shows, isUnclear };
}

type Held = (key: string) => Json | undefined;

/** A text of a webhook, and the row's value of that field. */
interface Text {
  readonly value: string;
  readonly own: Json | undefined;
  /** True if both are one text in two spellings. */
  readonly isOther: boolean;
}

/** How webhooks spell texts, compared with a row confirmed by the API. */
function shown(texts: readonly Text[]): WebhookTexts {
  const others = texts.filter(({ value, own, isOther }) => isOther && (hasPlainer(value) || hasPlainer(own)));
  if (others.length > 0) return others.some(({ value }) => hasPlainer(value)) ? 'entities' : 'decoded';
  return texts.some(({ value, own }) => own === value && hasPlainer(value)) ? 'plain' : null;
}

/** Uses the row's spelling for unchanged texts, otherwise a plain one if webhooks are known to have entities. */
function respelt(seen: Observation, held: Held, way: 'entities' | 'decoded'): Observation {
  const spelt = (key: string, value: Json): Json => {
    const own = held(key);
    if (own !== undefined && isOneText(own, value)) return own;
    return way === 'entities' && typeof value === 'string' ? plainText(value) : value;
  };
  const all = (record: JsonObject | null): JsonObject | null =>
    record === null ? null : Object.fromEntries(Object.entries(record).map(([key, value]) => [key, spelt(key, value)]));
  if (seen.says === 'announced')
    return { ...seen, record: all(seen.record) as JsonObject, previous: all(seen.previous) };
  return seen.says === 'deleted' ? { ...seen, previous: all(seen.previous) } : seen;
}
