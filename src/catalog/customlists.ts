/** Module `customlists`: lists that a portal defines for itself. */
import { id, model } from './fields.ts';

export const customlists = {
  lists: model({
    title: 'Items of custom lists',
    scope: 'customlists',
    edition: 'aspro',
    // A `list` method is documented, perhaps one for each custom list: asked portal-wide, a refusal is skipped.
    gettable: false,
    fields: {
      id: id(),
    },
  }),
} as const;
