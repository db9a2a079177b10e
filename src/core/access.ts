/** Words for messages about the portal access and the person whose rights it has: an API key, or an OAuth login. */

export type Access = 'key' | 'login';

export const ACCESS_WORDS = {
  key: {
    name: 'key',
    check: 'check the API key and the company sub-domain',
    give: "give the key's user",
    better: 'use the key of an administrator',
  },
  login: {
    name: 'login',
    check: 'log in again, and check the company sub-domain',
    give: 'give the user who logged in',
    better: 'log in as an administrator',
  },
} as const satisfies Record<Access, Readonly<Record<'name' | 'check' | 'give' | 'better', string>>>;
