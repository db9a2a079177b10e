import { Command } from 'commander';
import ms, { type StringValue } from 'ms';
import { UsageError } from '../../core/errors.ts';
import { type OpenPlace, openPlaces } from '../../migrate/closing.ts';
import { asOwner } from '../../migrate/owner.ts';
import { type GrantedReader, grantReader, ReaderLoginError, type ReaderRequest } from '../../migrate/reader-logins.ts';
import type { Sql } from '../../postgres/connection.ts';
import { withLogin } from '../../postgres/url.ts';
import { span } from '../../status/words.ts';
import { printLine } from '../../terminal/output.ts';
import { EXIT } from '../exit-codes.ts';
import { runWithSession } from '../run.ts';

interface ReaderFlags {
  readonly statementTimeout: string;
  readonly newPassword?: boolean;
}

/** The login of agents where no other is given; every `mcp` that needs it gives it another password. */
export const AGENT = 'flowlu_agent';

const TIMEOUT_MIN_MS = 1_000;
const TIMEOUT_MAX_MS = 86_400_000;

export const readerCommand = new Command('reader')
  .argument('<login>', 'name of the login: lower-case letters, digits and _')
  .option('--statement-timeout <time>', 'how long a statement may take, e.g. 90s or 5m', '5m')
  .option('--new-password', 'give an existing login a new password')
  .action((login: string, { statementTimeout, newPassword = false }: ReaderFlags, command: Command) =>
    runWithSession(command, 'look', async ({ sql, database, config }) => {
      const statementTimeout_ms = readTimeout(statementTimeout);
      if (login === AGENT)
        throw new UsageError(`${AGENT} is the login of \`mcp\`, which changes its password: choose another name`);
      try {
        const request = { login, statementTimeout_ms, renewPassword: newPassword };
        const granted = await grant(sql, config.database.migrateUrl, request);
        const url = withLogin(database.url, login, granted.password);
        const open = (await openPlaces(sql)).map(({ name, sql: closing }) => ({ name, sql: closing }));
        const data = { login, ...granted, statement_timeout_ms: statementTimeout_ms, url, open };
        return { data, print: () => print(data, database.embedded) };
      } catch (error) {
        if (!(error instanceof ReaderLoginError)) throw error;
        const { message, adminSql } = error;
        if (adminSql === null) throw new UsageError(message, { cause: error });
        const print = () => printLine(`${message} run:\n\n${adminSql}\n`);
        return { data: { login, adminSql }, print, exitCode: EXIT.finding };
      }
    }),
  );

function print(
  shown: {
    readonly login: string;
    readonly password: string | null;
    readonly statement_timeout_ms: number;
    readonly url: string;
    readonly open: readonly OpenPlace[];
  },
  isEmbedded: boolean,
): void {
  const { login, statement_timeout_ms, url, open } = shown;
  const password = shown.password === null ? 'It keeps its password.' : 'The password is shown this once.';
  printLine(`${login} may read the mirror, ${span(statement_timeout_ms / 1_000)} a statement. ${password}\n\n${url}\n`);
  if (isEmbedded) printLine('The embedded PostgreSQL answers there only while `flowlu-mirror serve` runs.');
  for (const { name, sql } of open) {
    printLine(`Open to everybody in this database: ${name}. An administrator can close it: ${sql};`);
  }
}

/** As the owner of the schema, where we can be; who may only write rows is told what an administrator has to run. */
export async function grant(sql: Sql, migrateUrl: string | null, request: ReaderRequest): Promise<GrantedReader> {
  const asked = await asOwner(sql, migrateUrl, (owner) => grantReader(owner, request));
  return asked?.done ?? (await grantReader(sql, request));
}

export function readTimeout(text: string): number {
  const value = /^\d+(\.\d+)?\s*[a-z]+$/i.test(text) ? ms(text as StringValue) : Number.NaN;
  if (value >= TIMEOUT_MIN_MS && value <= TIMEOUT_MAX_MS) return Math.round(value);
  throw new UsageError(`--statement-timeout ${text}: a time from 1s to 24h, e.g. 90s or 5m`);
}
