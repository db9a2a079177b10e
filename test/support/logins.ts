/** Logins that are members of our group roles, as an administrator would make them for one database. */
import { randomUUID } from 'node:crypto';
import { type TestDatabase, urlOf } from './database.ts';

export interface Login {
  readonly user: string;
  readonly url: string;
  /** Takes the login away again; nobody may be connected as it. */
  drop(): Promise<void>;
}

/** Makes a login; it may do what the groups may, and nothing else. */
export async function createLogin(database: TestDatabase, ...groups: readonly string[]): Promise<Login> {
  const user = `login_${randomUUID().slice(0, 8)}`;
  const password = randomUUID();
  const membership = groups.length === 0 ? '' : ` in role ${groups.join(', ')}`;
  await database.sql.unsafe(`create role ${user} login password '${password}'${membership}`);
  return {
    user,
    url: urlOf(database.name, { user, password }),
    drop: async () => {
      await database.sql.unsafe(`drop role ${user}`);
    },
  };
}
