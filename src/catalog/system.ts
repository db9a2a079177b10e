/** Module `system`: comments and files attached to records of any model. */
import { id, model } from './fields.ts';

export const system = {
  comments: model({
    title: 'Comments',
    scope: 'system',
    edition: 'aspro',
    // Comments are listed per record only; for the whole portal there is nothing to page through.
    listable: false,
    fields: {
      id: id(),
    },
  }),

  files: model({
    title: 'Files',
    scope: 'system',
    edition: 'aspro',
    fields: {
      id: id(),
    },
  }),
} as const;
