/** Control, direction and invisible characters. The joiners are left out, since scripts and emoji need them. */
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029]/gu;

const escaped = (character: string) =>
  Array.from({ length: character.length }, (_, unit) => character.charCodeAt(unit))
    .map((code) => `\\u${code.toString(16).padStart(4, '0')}`)
    .join('');

/** Replaces every such character with its JSON escape, except those that `keep` matches. */
export function visible(text: string, keep?: RegExp): string {
  if (keep === undefined) return text.replace(UNSEEN, escaped);
  const parts = text.split(new RegExp(`(${keep.source})`, 'u'));
  return parts.map((part, index) => (index % 2 === 1 ? part : part.replace(UNSEEN, escaped))).join('');
}
