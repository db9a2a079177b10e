/** Module `company`: absences of employees. */
import { date, flag, integer, link, model, text } from './fields.ts';
import { audit, color } from './groups.ts';

export const company = {
  absences: model('Absences of employees', 'company', 'expected', {
    user_id: link('User who is absent', 'core.user'),
    absence_type_id: link('Kind of absence', 'company.absencetypes'),
    start_date: date('First day of absence'),
    end_date: date('Last day of absence'),
    original_end_date: date('Last day of absence before holidays were added'),
    comment: text('Free-text note on the absence'),
    ...audit,
  }),

  absencetypes: model('Kinds of absence', 'company', 'expected', {
    title: text('Name of the kind of absence'),
    color,
    default_absence_duration: integer('Usual length of an absence, presumably in days'),
    count_holidays: flag('Public holidays count towards the absence'),
    ...audit,
  }),
};
