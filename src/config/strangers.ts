/** Names that were meant to be settings and are none: a setting that is misspelt would go unnoticed, its default in force. */
import { nearest, sortedLetters } from '../catalog/name.ts';
import type { Environment } from './environment.ts';
import type { ConfigProblem } from './errors.ts';
import { settings } from './table.ts';

const OURS = 'FLOWLU_';
/** Set by others: by us for workers, by Kubernetes for services that are called as we are, by whoever uses a proxy. */
const FOREIGN = /^FLOWLU_MIRROR_|_SERVICE_(?:HOST|PORT)|_PORT(?:_|$)|^(?:HTTPS?|NO|ALL)_PROXY$/i;
/** Shorter names are near to too many others, unless it is their very letters that are swapped. */
const COMPARED_MIN = 7;
const NAME_MAX = 60;

const names = settings.flatMap(([name, { secret }]) => (secret === undefined ? [name] : [name, `${name}_FILE`]));
const lettersOf = (name: string) => name.toUpperCase().replace(/[^A-Z]/g, '');
const byLetters = new Map(names.map((name) => [lettersOf(name), name]));
const bySortedLetters = new Map([...byLetters].map(([letters, name]) => [sortedLetters(letters), name]));

/** The setting that was most likely meant; within the names that are ours alone a guess may be bolder. */
function meantBy(name: string): string | undefined {
  const letters = lettersOf(name);
  const candidates = [...byLetters.keys()];
  const swapped = bySortedLetters.get(sortedLetters(letters));
  if (swapped !== undefined) return swapped;
  const near = letters.length < COMPARED_MIN ? null : nearest(letters, candidates, 1);
  const bold = name.startsWith(OURS) ? (nearest(letters, candidates) ?? nearest(letters.slice(6), candidates)) : null;
  return byLetters.get(near ?? bold ?? '');
}

/** What is set under a name that is no setting but begins like ours, or is a slip of the finger away from one that is not set. */
export function strangersIn(env: Environment): readonly ConfigProblem[] {
  return Object.keys(env).flatMap((name) => {
    if (!env[name]?.trim() || names.includes(name) || FOREIGN.test(name) || name.length > NAME_MAX) return [];
    const isOurs = name.startsWith(OURS);
    const meant = meantBy(name);
    if (meant === undefined) return isOurs ? [{ name, problem: 'is no setting; docs/settings.md lists them all' }] : [];
    return isOurs || env[meant] === undefined ? [{ name, problem: `is no setting; did you mean ${meant}?` }] : [];
  });
}
