/** Module `system`: comments and files attached to records of any model. */
import { model, oddModel } from './fields.ts';

export const system = {
  // Comments are listed per record only; for the whole portal there is nothing to page through.
  comments: oddModel({ listable: false }, 'Comments', 'system', 'aspro', {}),

  files: model('Files', 'system', 'aspro', {}),
} as const;
