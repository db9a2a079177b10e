/** Scope codes of the Developer Hub. */

/**
 * The codes that Flowlu documents, without their level (`read` or `full`). A model whose scope is not among them
 * carries its module's name as a guess, and whoever prints scopes must mark it as one.
 */
export const DOCUMENTED_SCOPES: ReadonlySet<string> = new Set([
  'users',
  'user.me',
  'crm',
  'crm.accounts',
  'crm.deals',
  'products',
  'fin',
  'calendar',
  'task',
  'knowledgebase',
  'workspace',
  'orgchart',
  'customlists',
]);
