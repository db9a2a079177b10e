/** The command line: every command with its options. */
import { Command, CommanderError } from 'commander';
import { settingsHelp } from '../config/index.ts';
import { version } from '../core/version.ts';
import { EXIT } from './exit-codes.ts';

/** What each command does, and where it is: a command is loaded when it is called, since all of them take a second. */
const COMMANDS: Readonly<Record<string, readonly [does: string, load: () => Promise<Command>]>> = {
  init: [
    'ask for company, key and time zone, test them, write .env and print the webhook address',
    async () => (await import('./commands/init.ts')).initCommand,
  ],
  serve: [
    'run the service: receive webhooks, catch up and sweep on schedule, answer health, metrics and status',
    async () => (await import('./commands/serve.ts')).serveCommand,
  ],
  backfill: [
    'read everything through the API into the mirror; continues where it was interrupted',
    async () => (await import('./commands/backfill.ts')).backfillCommand,
  ],
  reconcile: [
    'catch up with what was missed; --full reads everything and finds missed deletes',
    async () => (await import('./commands/reconcile.ts')).reconcileCommand,
  ],
  verify: [
    'compare the mirror with the portal field by field and report every difference',
    async () => (await import('./commands/verify.ts')).verifyCommand,
  ],
  replay: [
    'apply stored deliveries again; safe to repeat',
    async () => (await import('./commands/replay.ts')).replayCommand,
  ],
  explain: [
    'show the history of one record: its row, its deliveries, and every decision with its reason',
    async () => (await import('./commands/explain.ts')).explainCommand,
  ],
  rebuild: [
    're-derive the typed columns from the stored records, after a new version or another time zone',
    async () => (await import('./commands/rebuild.ts')).rebuildCommand,
  ],
  redact: [
    'apply the privacy settings to what was stored before they were made',
    async () => (await import('./commands/redact.ts')).redactCommand,
  ],
  erase: [
    'remove every value of one record from the mirror and its ledger, on a privacy request',
    async () => (await import('./commands/erase.ts')).eraseCommand,
  ],
  status: [
    'show what needs a look, freshness, backlog and the last runs; exit 3 when a person has to do something',
    async () => (await import('./commands/status.ts')).statusCommand,
  ],
  mcp: [
    'serve the mirror to agents over stdio (Model Context Protocol): views, definitions, read-only queries',
    async () => (await import('./commands/mcp.ts')).mcpCommand,
  ],
  models: [
    'list what is mirrored, with table names and counts; or describe it for other tools',
    async () => (await import('./commands/models.ts')).modelsCommand,
  ],
  doctor: [
    'check settings, database, key, rights, filters, sorting and time zone, and say what to do',
    async () => (await import('./commands/doctor.ts')).doctorCommand,
  ],
  migrate: [
    "bring the database to this version's schema, views and roles",
    async () => (await import('./commands/migrate.ts')).migrateCommand,
  ],
  manifest: [
    'print a Developer Hub manifest with exactly the scopes that the mirrored models need',
    async () => (await import('./commands/manifest.ts')).manifestCommand,
  ],
  login: [
    'let the mirror read the portal by OAuth: print an address to open in a browser, and wait',
    async () => (await import('./commands/login.ts')).loginCommand,
  ],
  logout: [
    'delete the OAuth tokens; running replicas stop reading the portal within half a minute',
    async () => (await import('./commands/logout.ts')).logoutCommand,
  ],
  reader: [
    'create a login that may read the mirror and nothing else, and print how to connect',
    async () => (await import('./commands/reader.ts')).readerCommand,
  ],
  demo: [
    'run a simulated portal with a mirror of it on this machine, until Ctrl-C; no account is needed',
    async () => (await import('./commands/demo.ts')).demoCommand,
  ],
};

/** The program with all options of these commands; of the others it has the names. `npm run commands` has all. */
export async function programWith(loaded: readonly string[] = Object.keys(COMMANDS)): Promise<Command> {
  const program = new Command('flowlu-mirror')
    .description('Keeps a true copy of a Flowlu portal in PostgreSQL.')
    .version(version)
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => command.name() })
    .exitOverride()
    .addHelpText(
      'after',
      () =>
        `\n${settingsHelp()}\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 finished with findings, 130 interrupted.`,
    );
  for (const [name, [does, load]] of Object.entries(COMMANDS)) {
    const command = loaded.includes(name) ? withCommonOptions(await load()) : new Command(name);
    program.addCommand(command.description(does).exitOverride());
  }
  return program;
}

function withCommonOptions(command: Command): Command {
  const hasQuiet = command.options.some(({ long }) => long === '--quiet');
  // A process that runs several commands, as tests do, has them already.
  if (hasQuiet) return command;
  if (!['serve', 'demo'].includes(command.name())) command.option('--json', 'print the result as one JSON document');
  return command.option('-q, --quiet', 'no progress, and no log but warnings and errors');
}

/** Runs what the words say, to the exit code of the process. */
export async function runProgram(words: readonly string[]): Promise<void> {
  try {
    // `help verify` has its command in second place.
    const program = await programWith(words.slice(0, 2));
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said what is wrong, or has printed the help that was asked for.
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
}
