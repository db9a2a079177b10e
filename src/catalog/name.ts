/** Names of models as people and tables of the ledger write them: `module.model`. */

/** The two halves of a name; what follows the first dot is the model, whatever it holds. */
export function splitName(name: string): { readonly module: string; readonly model: string } {
  const [module = '', model = ''] = name.split(/\.(.*)/s);
  return { module, model };
}
