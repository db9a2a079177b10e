/** Module `core`: the people of the portal, and its tags. */
import { date, datetime, flag, model, oddModel, text, unix } from './fields.ts';
import { importOrigin } from './groups.ts';

export const core = {
  tag: oddModel({ gettable: false }, 'Tags', 'core', 'expected', { name: text('Wording of the tag') }),

  user: model('Users', 'users', 'flowlu', {
    username: text('Login, an e-mail address'),
    name: text('Full name as displayed'),
    first_name: text('Given name'),
    second_name: text('Middle name or patronymic'),
    last_name: text('Family name'),
    birth_date: date('Date of birth'),
    position: text('Job title'),
    description: text('Free-text note about the user'),
    email_personal: text('Private e-mail address'),
    phone_mobile: text('Mobile telephone number'),
    phone_work: text('Work telephone number'),
    phone_internal: text('Internal extension number'),
    web: text('Website address'),
    image: text('Path or address of the profile picture'),
    lang_id: text('Interface language, as the portal identifies it'),
    timezone: text('Time zone of the user'),
    role_admin: flag('Administrator of the portal'),
    role_login: flag('May log in; no means blocked or dismissed'),
    role_external: flag('External user of the client portal'),
    register_date: datetime('When the user account was registered'),
    last_active: unix('When the user was last active in the portal'),
    ...importOrigin,
  }),
};
