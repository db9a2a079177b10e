/** The command line: every command with its options. */
import { Command, CommanderError } from 'commander';
import { settingsHelp } from '../config/index.ts';
import { version } from '../core/version.ts';
import { EXIT } from './exit-codes.ts';

/** What each command does. */
const DOES = {
  init: 'ask for company, key and time zone, test them, write .env and print the webhook address',
  serve: 'run the service: receive webhooks, catch up and sweep on schedule, answer health, metrics and status',
  backfill: 'read everything through the API into the mirror; continues where it was interrupted',
  reconcile: 'catch up with what was missed; --full reads everything and finds missed deletes',
  verify: 'compare the mirror with the portal field by field and report every difference',
  replay: 'apply stored deliveries again; safe to repeat',
  explain:
    'show the history of one record: its row, its deliveries, and every decision with its reason; exit 3 when the API says otherwise',
  rebuild: 're-derive the typed columns from the stored records, after a new version or another time zone',
  redact: 'apply the privacy settings to what was stored before they were made',
  erase: 'remove every value of one record from the mirror and its ledger, on a privacy request',
  status: 'show what needs a look, freshness, backlog and the last runs; exit 3 when a person has to do something',
  mcp: 'serve the mirror to agents over stdio (Model Context Protocol): views, definitions, read-only queries',
  models: 'list what is mirrored, with table names and counts; or describe it for other tools',
  doctor: 'check settings, database, key, rights, filters, sorting and time zone, and say what to do',
  migrate: "bring the database to this version's schema, views and roles",
  manifest: 'print a Developer Hub manifest with exactly the scopes that the mirrored models need',
  login: 'let the mirror read the portal by OAuth: print an address to open in a browser, and wait',
  logout: 'delete the OAuth tokens; running replicas stop reading the portal within half a minute',
  reader: 'create a login that may read the mirror and nothing else, and print how to connect',
  demo: 'run a simulated portal with a mirror of it on this machine, until Ctrl-C; no account is needed',
} as const;

/** Where each is: a command is loaded when it is called, since all of them take a second. */
const LOAD: Readonly<Record<keyof typeof DOES, () => Promise<Command>>> = {
  init: async () => (await import('./commands/init.ts')).initCommand,
  serve: async () => (await import('./commands/serve.ts')).serveCommand,
  backfill: async () => (await import('./commands/backfill.ts')).backfillCommand,
  reconcile: async () => (await import('./commands/reconcile.ts')).reconcileCommand,
  verify: async () => (await import('./commands/verify.ts')).verifyCommand,
  replay: async () => (await import('./commands/replay.ts')).replayCommand,
  explain: async () => (await import('./commands/explain.ts')).explainCommand,
  rebuild: async () => (await import('./commands/rebuild.ts')).rebuildCommand,
  redact: async () => (await import('./commands/redact.ts')).redactCommand,
  erase: async () => (await import('./commands/erase.ts')).eraseCommand,
  status: async () => (await import('./commands/status.ts')).statusCommand,
  mcp: async () => (await import('./commands/mcp.ts')).mcpCommand,
  models: async () => (await import('./commands/models.ts')).modelsCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
  migrate: async () => (await import('./commands/migrate.ts')).migrateCommand,
  manifest: async () => (await import('./commands/manifest.ts')).manifestCommand,
  login: async () => (await import('./commands/login.ts')).loginCommand,
  logout: async () => (await import('./commands/logout.ts')).logoutCommand,
  reader: async () => (await import('./commands/reader.ts')).readerCommand,
  demo: async () => (await import('./commands/demo.ts')).demoCommand,
};

/** The program with all options of these commands; of the others it has the names. `npm run commands` has all. */
export async function programWith(loaded: readonly string[] = Object.keys(DOES)): Promise<Command> {
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
  for (const [name, load] of Object.entries(LOAD)) {
    const command = loaded.includes(name) ? withCommonOptions(await load()) : new Command(name);
    program.addCommand(command.description(DOES[name as keyof typeof DOES]).exitOverride());
  }
  return program;
}

function withCommonOptions(command: Command): Command {
  const hasQuiet = command.options.some(({ long }) => long === '--quiet');
  // A process that runs several commands, as tests do, has them already.
  if (hasQuiet) return command;
  if (!['serve', 'demo'].includes(command.name())) command.option('--json', 'print the result as one JSON document');
  return command.option('-q, --quiet', 'no progress output; log only warnings and errors');
}

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
