/** Spellings of a text: HTML entities or none, Windows or Unix line ends. Webhooks and the API may differ. Pure. */
import type { Json } from '../core/json.ts';

const ENTITY = /&(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[\da-f]{1,6});|\r\n/gi;
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The text with one layer of entities decoded and with Unix line ends. */
export function plainText(text: string): string {
  return text.replace(ENTITY, (found) => {
    if (found === '\r\n') return '\n';
    const name = found.slice(1, -1).toLowerCase();
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return NAMED[name] ?? (code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : found);
  });
}

/** Whether the value is a text that has a plainer spelling. */
export function hasPlainer(value: Json | undefined): value is string {
  return typeof value === 'string' && (value.includes('&') || value.includes('\r\n')) && plainText(value) !== value;
}

/** Whether two values are spellings of one text, of which at most one has an additional layer of entities. */
export function isOneText(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  // Most texts that differ end here.
  if (typeof a !== 'string' || typeof b !== 'string' || !(hasPlainer(a) || hasPlainer(b))) return false;
  const [linesOfA, linesOfB] = [a.replaceAll('\r\n', '\n'), b.replaceAll('\r\n', '\n')];
  return linesOfA === linesOfB || plainText(a) === linesOfB || linesOfA === plainText(b);
}
