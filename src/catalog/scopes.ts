/** Scope codes of the Developer Hub. */

/**
 * The codes that Flowlu documents, without their level (`read` or `full`), and what the documentation says they cover.
 * A model whose scope is not among them carries its module's name as a guess, and whoever prints scopes must mark it
 * as one.
 */
export const DOCUMENTED_SCOPES: ReadonlyMap<string, string> = new Map([
  ['users', 'user models'],
  ['user.me', 'the user who is logged in'],
  ['crm', 'all models of the module'],
  ['crm.accounts', 'models of accounts'],
  ['crm.deals', 'models of deals and leads'],
  ['products', 'models of products'],
  ['fin', 'models of finance'],
  ['calendar', 'models of the calendar'],
  ['task', 'models of tasks'],
  ['knowledgebase', 'models of the knowledge base'],
  ['workspace', 'not described'],
  ['orgchart', 'not described'],
  ['customlists', 'not described'],
]);

/** How sure it is that a scope is the one a model needs. */
export type ScopeBasis =
  /** The code is documented for the model or for its whole module. */
  | 'documented'
  /** The code is documented; that it covers this model is a deduction from the model's name. */
  | 'assigned'
  /** The code is the module's name, and nobody has documented it. */
  | 'guessed';

/** Models that a scope for a part of a module names in so many words. */
const NAMED: ReadonlySet<string> = new Set(['crm.account', 'crm.lead']);

export function scopeBasis({ name, scope }: { readonly name: string; readonly scope: string }): ScopeBasis {
  if (!DOCUMENTED_SCOPES.has(scope)) return 'guessed';
  return !scope.includes('.') || NAMED.has(name) ? 'documented' : 'assigned';
}
