/** `mcp`: the mirror for agents, over standard input and output. */
import { once } from 'node:events';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { Command } from 'commander';
import { type ReaderAddress, requireReader } from '../../agents/query.ts';
import { createAgentServer } from '../../agents/server.ts';
import { UsageError } from '../../core/errors.ts';
import { ownership } from '../../migrate/owner.ts';
import { ReaderLoginError } from '../../migrate/reader-logins.ts';
import { connect } from '../../postgres/connection.ts';
import { withLogin } from '../../postgres/url.ts';
import { openSession, type Session } from '../../service/session.ts';
import { wholeNumber } from '../arguments.ts';
import { EXIT } from '../exit-codes.ts';
import { runCommand } from '../run.ts';
import { AGENT, grant, readTimeout } from './reader.ts';

interface Flags {
  readonly rows: number;
  readonly statementTimeout: string;
}

const ROWS_MAX = 10_000;

export const mcpCommand = new Command('mcp')
  .option('--rows <number>', 'the most rows that a query returns', wholeNumber(ROWS_MAX), 200)
  .option('--statement-timeout <time>', 'how long a query may take, e.g. 30s', '30s')
  .action((flags: Flags, command: Command) =>
    runCommand(command, async (context) => {
      const limits = { rows: flags.rows, time_ms: readTimeout(flags.statementTimeout) };
      const { readerUrl, url } = context.config.database;
      const own = readerUrl ?? (url !== null && (await isReader(url)) ? url : null);
      if (own !== null) return await serveAgents({ url: own }, limits, context.signal);
      const session = await openSession(context.config, { ...context, command: 'mcp', onMirror: 'look' });
      try {
        return await serveAgents(await ownLogin(session, limits.time_ms), limits, context.signal);
      } finally {
        await session.close();
      }
    }),
  );

/** Whether the address is that of a reader, which is all that agents need. */
async function isReader(url: string): Promise<boolean> {
  const sql = connect(url, { applicationName: 'flowlu-mirror mcp', max: 1 });
  try {
    return (await ownership(sql)).is_reader;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function serveAgents(
  address: ReaderAddress,
  limits: { readonly rows: number; readonly time_ms: number },
  signal: AbortSignal,
) {
  await requireReader(address);
  const server = createAgentServer(address, limits);
  // Whoever started us closes our input when they are done.
  const done = once(process.stdin, 'end', { signal });
  await server.connect(new StdioServerTransport());
  await done.catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  await server.close();
  signal.throwIfAborted();
  return EXIT.done;
}

async function ownLogin({ sql, database, config }: Session, statementTimeout_ms: number): Promise<ReaderAddress> {
  const renew = async () => {
    try {
      const request = { login: AGENT, statementTimeout_ms, renewPassword: true };
      const { password } = await grant(sql, config.database.migrateUrl, request);
      return withLogin(database.url, AGENT, password);
    } catch (error) {
      if (!(error instanceof ReaderLoginError)) throw error;
      throw new UsageError(
        `${error.message}. Make a login with \`flowlu-mirror reader\` and name it in READER_DATABASE_URL`,
        { cause: error },
      );
    }
  };
  return { url: await renew(), renew };
}
