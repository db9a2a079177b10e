/** Names of models as used by people and in the ledger: `module.model`. */

/** Splits a name at its first dot; the rest is the model, whatever it contains. */
export function splitName(name: string): { readonly module: string; readonly model: string } {
  const [module = '', model = ''] = name.split(/\.(.*)/s);
  return { module, model };
}

/** Longer than any name; limits the work of comparing. */
const MAX_NAME = 80;

/** The candidate that differs in the fewest letters; null if even that one is too different. */
export function nearest(
  word: string,
  candidates: readonly string[],
  distanceMax = Math.max(1, Math.floor(word.length / 4)),
): string | null {
  const short = word.slice(0, MAX_NAME);
  const [best] = candidates
    // Names whose lengths differ by more differ by more: comparing them letter by letter is most of the work.
    .filter((candidate) => Math.abs(candidate.length - short.length) <= distanceMax)
    .map((candidate) => ({ candidate, distance: distanceOf(short, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= distanceMax ? best.candidate : null;
}

/** Equal for names of the same letters, in whatever order. */
export const sortedLetters = (name: string) => [...name].sort().join('');

/** Levenshtein distance: letters to insert, delete or replace. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
