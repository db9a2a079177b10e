/** What the columns of schema `flowlu_history` mean. */
import { historyDocs } from '../tables/history.ts';

/** Of the views that show states: what is known of a state beside its values. */
export const stateDocs = {
  valid_from: 'When this state came about: by the clock of Flowlu where it tells, else when the mirror learnt it',
  valid_to: 'When it ended, by the next change or by the deletion of the record; null while it lasts',
  _change:
    'What brought it about: created, updated or revived; null for the oldest state known, which may have come about earlier',
  _path: 'Through what the mirror learnt it: webhook, list or get; null for the oldest state known',
  _observed_at: 'When the mirror learnt it',
  _number: 'Number of the change that brought it about, see flowlu_history.changes; null for the oldest state known',
  _record: 'The whole record in this state, custom and unknown fields included',
} as const;

const changeDocs = {
  number: historyDocs.number,
  model: historyDocs.model,
  id: historyDocs.entity_id,
  change: historyDocs.change,
  changed_at: historyDocs.version,
  observed_at: historyDocs.observed_at,
  recorded_at: 'When the change was recorded; a condition on it spares reading other months',
  path: historyDocs.path,
} as const;

/** Of the other views: what they show, and their columns. */
export const historyViewDocs = {
  changes: {
    text: 'Every change of any record that the mirror accepted',
    columns: { ...changeDocs, before: historyDocs.before, after: historyDocs.after },
  },
  field_changes: {
    text: 'The same by field: which value became which',
    columns: {
      ...changeDocs,
      field: "Flowlu's name of the field",
      old_value: 'Value before, as text; null where the field was empty or not there',
      new_value: 'Value after, as text; null where the field is empty or not there any more',
      changed_by:
        'User who made the change, where the change itself names one: models with updated_by, when it is another user than before',
      changed_by_name: 'Their name',
      old_label: 'Words for a code before',
      new_label: 'Words for a code after',
    },
  },
  time_in_stage: {
    text: 'How long each deal stayed in each stage of its pipeline, one row a stay',
    columns: {
      deal_id: 'The deal',
      deal: 'Title of the deal, as it is now',
      pipeline_id: 'Pipeline of the stay',
      pipeline: 'Its name, as it is now',
      stage_id: 'Stage of the stay',
      stage: 'Its name, as it is now',
      status: 'in progress, lost or won, during the stay',
      entered_at: 'When the deal came into the stage',
      left_at: 'When it went to another stage or status, or was deleted; null while it stays',
      duration:
        'left_at, or now, less entered_at; none for a deal that is lost or won and stays so: it waits for nothing',
      entered_exactly:
        'False where the deal may have come into the stage earlier: before the mirror began, or unseen until a reading',
    },
  },
} as const satisfies Record<string, { readonly text: string; readonly columns: Readonly<Record<string, string>> }>;
