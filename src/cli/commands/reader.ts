/** `reader`: a login for an analyst or a tool, which may read the mirror and nothing else. */
import { Command } from 'commander';
import ms, { type StringValue } from 'ms';
import { UsageError } from '../../core/errors.ts';
import { asOwner } from '../../migrate/owner.ts';
import { type GrantedReader, grantReader, ReaderLoginError, type ReaderRequest } from '../../migrate/reader-logins.ts';
import type { Sql } from '../../postgres/connection.ts';
import { withLogin } from '../../postgres/url.ts';
import { EXIT } from '../exit-codes.ts';
import { formatDuration, printJson, printLine } from '../output.ts';
import { runWithSession } from '../run.ts';

interface Flags {
  readonly statementTimeout: string;
  readonly newPassword?: boolean;
  readonly json?: boolean;
}

const TIMEOUT_MIN_MS = 1_000;
const TIMEOUT_MAX_MS = 86_400_000;

export function readerCommand(): Command {
  return new Command('reader')
    .description('make a login that may read the mirror and nothing else, and print how to connect')
    .argument('<login>', 'name of the login: lower-case letters, digits and _')
    .option('--statement-timeout <time>', 'longest statement, e.g. 90s or 5m', '5m')
    .option('--new-password', 'give a login that is there already another password')
    .option('--json', 'print the result as JSON')
    .action((login: string, flags: Flags) =>
      runWithSession({ name: 'reader', logTo: 'stderr', onMirror: 'look' }, async ({ sql, database, config }) => {
        const statementTimeout_ms = readTimeout(flags.statementTimeout);
        try {
          const request = { login, statementTimeout_ms, renewPassword: flags.newPassword === true };
          const granted = await grant(sql, config.database.migrateUrl, request);
          const url = withLogin(database.url, login, granted.password);
          if (flags.json) printJson({ login, ...granted, statement_timeout_ms: statementTimeout_ms, url });
          else {
            const password = granted.password === null ? 'It keeps its password.' : 'The password is shown this once.';
            printLine(
              `${login} may read the mirror, ${formatDuration(statementTimeout_ms)} a statement. ${password}\n\n${url}\n`,
            );
          }
          return EXIT.done;
        } catch (error) {
          if (!(error instanceof ReaderLoginError)) throw error;
          if (error.adminSql === null) throw new UsageError(error.message, { cause: error });
          if (flags.json) printJson({ login, adminSql: error.adminSql });
          else printLine(`${error.message} run:\n\n${error.adminSql}\n`);
          return EXIT.finding;
        }
      }),
    );
}

/** As the owner of the schema, where we can be; who may only write rows is told what an administrator has to run. */
async function grant(sql: Sql, migrateUrl: string | null, request: ReaderRequest): Promise<GrantedReader> {
  const asked = await asOwner(sql, migrateUrl, (owner) => grantReader(owner, request));
  return asked?.done ?? (await grantReader(sql, request));
}

function readTimeout(text: string): number {
  const value = /^\d+(\.\d+)?\s*[a-z]+$/i.test(text) ? ms(text as StringValue) : Number.NaN;
  if (value >= TIMEOUT_MIN_MS && value <= TIMEOUT_MAX_MS) return Math.round(value);
  throw new UsageError(`--statement-timeout ${text}: a time from 1s to 24h, e.g. 90s or 5m`);
}
