/** Module `system`: comments and files attached to records of any model. */
import { model, oddModel } from './fields.ts';

export const system = {
  // Comments are only listed per record; there is no list for the whole portal.
  comments: oddModel({ listable: false }, 'Comments', 'system', 'aspro', {}),

  files: model('Files', 'system', 'aspro', {}),
};
