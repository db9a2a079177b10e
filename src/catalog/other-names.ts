/**
 * Other names of models. Webhooks, definitions of custom fields and polymorphic links name some models differently than
 * the API: in the singular or plural, as in the user interface, or with the module before a slash.
 */
import { findModel, models } from './index.ts';
import { nearest, splitName } from './name.ts';

/** Names that follow no rule. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'crm.account': ['crm.contact', 'crm.company', 'crm.client', 'crm.customer', 'crm.organization'],
  'crm.lead': ['crm.deal', 'crm.opportunity'],
  'core.user': ['users.user', 'core.employee'],
  'st.projects': ['projects.project'],
};

/** Singular and plural of a name, including itself. */
function numbersOf(name: string): readonly string[] {
  const singular = name
    .replace(/ies$/, 'y')
    .replace(/(ss|us)es$/, '$1')
    .replace(/(?<!s)s$/, '');
  const plural = singular.replace(/[^aeiou]y$/, (end) => `${end[0]}ie`).replace(/(ss|us)$/, '$1e');
  return [name, singular, `${plural}s`];
}

const byOtherName: ReadonlyMap<string, string> = new Map(
  models
    .flatMap(({ name }) => [name, ...(WORDS[name] ?? [])].flatMap(numbersOf).map((other) => [other, name] as const))
    // If the name belongs to a model of its own, it means that model.
    .filter(([other]) => findModel(other) === undefined),
);

/** Names from the settings, which are global because one process reads one portal. */
let ownNames: ReadonlyMap<string, string> = new Map();
let extraNames: readonly string[] = [];

/** Sets the names of the settings, which precede those known here. @param extra models that the catalogue lacks */
export function useOwnNames(
  names: readonly { readonly other: string; readonly model: string }[],
  extra: readonly string[],
): void {
  ownNames = new Map(names.map(({ other, model }) => [other, model]));
  extraNames = extra;
}

/** Whether the API can be asked about a model of this name. */
export function isKnownName(name: string): boolean {
  return findModel(name) !== undefined || extraNames.includes(name);
}

/** What to do about a name that neither the catalogue nor the settings know. */
export function foreignWords(suggestions: readonly string[]): string {
  const meant = suggestions.length === 0 ? '' : `; perhaps ${suggestions.join(' or ')}`;
  return `no model is called so${meant}: WEBHOOK_MODEL_NAMES can map it, FLOWLU_EXTRA_MODELS add it`;
}

/** The catalogue's name for a model; the name itself if it is the catalogue's or unknown. */
export function catalogueName(name: string): string {
  return ownNames.get(name) ?? byOtherName.get(name) ?? name;
}

/** Every name of the model, the catalogue's first. */
export function namesOf(name: string): readonly string[] {
  return [name, ...[...byOtherName].filter(([, known]) => known === name).map(([other]) => other)];
}

/** A model as named outside the mirror: in upper or lower case, perhaps with its module before a slash. */
export function readName(module: string, model: string): { readonly module: string; readonly model: string } {
  const [first = '', ...rest] = model.toLowerCase().split('/');
  const name = rest.length === 0 ? `${module.toLowerCase()}.${first}` : `${first}.${rest.join('/')}`;
  return splitName(catalogueName(name));
}

/** Catalogue models with similar names, the likeliest first, for a person to choose from. */
export function similarNames(name: string): readonly string[] {
  const { module, model } = splitName(name);
  const stem = model.replace(/^.*_/, '').replace(/(ies|es|s|y)$/, '');
  const similar = models
    .filter((known) => known.model.includes(stem))
    .sort((a, b) => Number(b.module === module) - Number(a.module === module) || a.model.length - b.model.length)
    .map((known) => known.name)
    .slice(0, 3);
  if (similar.length > 0) return similar;
  const slip = nearest(
    name,
    models.map((known) => known.name),
  );
  return slip === null ? [] : [slip];
}
