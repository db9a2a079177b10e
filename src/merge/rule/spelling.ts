/**
 * Texts of webhooks as the API spells them. Some portals put HTML entities and Windows' ends of lines into webhooks
 * where the API answers plainly; compared as they are, a row would go to and fro between two spellings of one content.
 * Pure.
 */
import type { Json, JsonObject } from '../../core/json.ts';
import { fieldValue, type Shape } from '../../record/record.ts';
import type { Observation, Row } from './observation.ts';

/** What is known of a portal's webhooks; null until a row that the API has confirmed shows it. */
export type WebhookTexts = 'plain' | 'entities' | null;

interface Respelt {
  readonly observation: Observation;
  /** What the observation shows of the portal's webhooks. */
  readonly shows: WebhookTexts;
  /** True when a text may be spelt otherwise in the API, and nothing tells. */
  readonly isUnclear: boolean;
}

const ENTITY = /&(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[\da-f]{1,6});|\r\n/gi;
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** A text without one layer of entities and without Windows' ends of lines. */
export function plainText(text: string): string {
  return text.replace(ENTITY, (found) => {
    if (found === '\r\n') return '\n';
    const name = found.slice(1, -1).toLowerCase();
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return NAMED[name] ?? (code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : found);
  });
}

/** Why a row is read again whose texts may be spelt otherwise. */
export const SPELLING = 'the API is asked how it spells the texts of a webhook';

/** What a webhook says, its texts spelt as in the row that the mirror holds, as far as they say the same. */
export function respell(seen: Observation, row: Row | null, shape: Shape, known: WebhookTexts): Respelt {
  const records = [seen.says === 'announced' ? seen.record : null, 'previous' in seen ? seen.previous : null];
  const texts = records.flatMap((record) => Object.entries(record ?? {}).filter(([, value]) => mayBeSpelt(value)));
  if (texts.length === 0) return { observation: seen, shows: null, isUnclear: false };
  const held = (key: string) => (row === null ? undefined : fieldValue(shape, row.record, key));
  const shows = row?.source === 'api' ? shown(texts as [string, string][], held) : null;
  const way = shows ?? known;
  if (way !== 'entities') return { observation: seen, shows, isUnclear: way === null };
  return { observation: withPlainTexts(seen, held), shows, isUnclear: false };
}

type Held = (key: string) => Json | undefined;

/** Which spelling a row that the API has confirmed has of the same texts. */
function shown(texts: readonly [string, string][], held: Held): WebhookTexts {
  if (texts.some(([key, text]) => unixLines(held(key)) === plainText(text))) return 'entities';
  return texts.some(([key, text]) => held(key) === text) ? 'plain' : null;
}

function withPlainTexts(seen: Observation, held: Held): Observation {
  const plain = (record: JsonObject | null): JsonObject | null =>
    record === null ? null : Object.fromEntries(Object.entries(record).map(([key, value]) => [key, spelt(key, value)]));
  const spelt = (key: string, value: Json): Json => {
    if (!mayBeSpelt(value)) return value;
    const text = plainText(value as string);
    const own = held(key);
    return own !== undefined && unixLines(own) === text ? own : text;
  };
  if (seen.says === 'announced') {
    return { ...seen, record: plain(seen.record) as JsonObject, previous: plain(seen.previous) };
  }
  return seen.says === 'deleted' ? { ...seen, previous: plain(seen.previous) } : seen;
}

function unixLines(value: Json | undefined): Json | undefined {
  return typeof value === 'string' ? value.replaceAll('\r\n', '\n') : value;
}

function mayBeSpelt(value: Json): boolean {
  return typeof value === 'string' && (value.includes('&') || value.includes('\r\n')) && plainText(value) !== value;
}
