/** Module `customlists`: lists that a portal defines for itself. */
import { oddModel } from './fields.ts';

export const customlists = {
  // A `list` method is documented, perhaps one per custom list. It is requested portal-wide; a refusal is skipped.
  lists: oddModel({ gettable: false }, 'Items of custom lists', 'customlists', 'aspro', {}),
};
