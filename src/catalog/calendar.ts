/** Module `calendar`: the calendars that contain events. */
import { code, model, text } from './fields.ts';
import { audit, color, named, uuid } from './groups.ts';

export const calendar = {
  calendar: model('Calendars', 'calendar', 'flowlu', {
    ...named('Name of the calendar', 'What the calendar is for'),
    type: code('Kind of calendar (values undocumented)'),
    color,
    timezone: text('Time zone that the calendar is kept in'),
    sync_type: code('External calendar it is synchronised with (values undocumented)'),
    etag: text('Revision tag of the external calendar'),
    uuid,
    ...audit,
  }),
};
