/** Scope codes of the Developer Hub. */

/**
 * The codes documented by Flowlu, without their level (`read` or `full`). For a model without a documented scope, the
 * module's name serves as a guess, which must be marked as such wherever it is printed.
 */
export const DOCUMENTED_SCOPES: ReadonlySet<string> = new Set([
  ...['users', 'user.me', 'crm', 'crm.accounts', 'crm.deals', 'products', 'fin', 'calendar', 'task', 'knowledgebase'],
  ...['workspace', 'orgchart', 'customlists'],
]);

/** How certain it is that a scope is the one a model needs. */
export type ScopeBasis =
  /** The code is documented for the model or for its whole module. */
  | 'documented'
  /** The code is documented; that it covers this model is deduced from the model's name. */
  | 'assigned'
  /** The code is the module's name and is not documented. */
  | 'guessed';

/** Models that the documentation of a partial scope names explicitly. */
const NAMED: ReadonlySet<string> = new Set(['crm.account', 'crm.lead']);

export function scopeBasis({ name, scope }: { readonly name: string; readonly scope: string }): ScopeBasis {
  if (!DOCUMENTED_SCOPES.has(scope)) return 'guessed';
  return !scope.includes('.') || NAMED.has(name) ? 'documented' : 'assigned';
}
