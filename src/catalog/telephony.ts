/** Module `telephony`: calls, and who answers which extension. */
import { code, datetime, integer, link, model, text } from './fields.ts';

const telephony_id = link('Connected telephony system');
const ref_id = text('Identifier of the record in the telephony system');

export const telephony = {
  calls: model('Calls', 'telephony', 'aspro', {
    start: datetime('When the call began'),
    call_duration: integer('Length of the call, presumably in seconds'),
    call_type: code('Direction of the call (values undocumented)'),
    call_status: code('How the call ended (values undocumented)'),
    from_number: text('Number that called'),
    from_extension: text('Extension that called'),
    to_number: text('Number that was called'),
    to_extension: text('Extension that was called'),
    responsible_id: link('User who led or missed the call', 'core.user'),
    client_id: link('Account on the other end', 'crm.account'),
    lead_id: link('Deal that the call belongs to', 'crm.lead'),
    description: text('Note on the call'),
    transcription: text('What was said, in writing'),
    // Documented as an integer but described as a download address; text holds either.
    records: text('Recording of the call: address or number'),
    telephony_id,
    ref_id,
  }),

  responsibles: model('Employees behind telephony extensions', 'telephony', 'aspro', {
    user_id: link('The employee as a user of the portal', 'core.user'),
    name: text('Name of the employee in the telephony system'),
    email: text('E-mail address of the employee in the telephony system'),
    extension: text('Extension number'),
    telephony_id,
    ref_id,
  }),
};
