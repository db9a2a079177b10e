/** The command line: every command with its options. */
import { Command, CommanderError } from 'commander';
import { settingsHelp } from '../config/index.ts';
import { version } from '../core/version.ts';
import { backfillCommand } from './commands/backfill.ts';
import { demoCommand } from './commands/demo.ts';
import { doctorCommand } from './commands/doctor.ts';
import { eraseCommand } from './commands/erase.ts';
import { explainCommand } from './commands/explain.ts';
import { initCommand } from './commands/init.ts';
import { loginCommand } from './commands/login.ts';
import { logoutCommand } from './commands/logout.ts';
import { manifestCommand } from './commands/manifest.ts';
import { migrateCommand } from './commands/migrate.ts';
import { modelsCommand } from './commands/models.ts';
import { readerCommand } from './commands/reader.ts';
import { rebuildCommand } from './commands/rebuild.ts';
import { reconcileCommand } from './commands/reconcile.ts';
import { redactCommand } from './commands/redact.ts';
import { replayCommand } from './commands/replay.ts';
import { serveCommand } from './commands/serve.ts';
import { statusCommand } from './commands/status.ts';
import { verifyCommand } from './commands/verify.ts';
import { EXIT } from './exit-codes.ts';

/** `npm run commands` writes docs/commands.md from it. */
export const program = new Command('flowlu-mirror')
  .description('Keeps a true copy of a Flowlu portal in PostgreSQL.')
  .version(version)
  .configureHelp({ showGlobalOptions: true })
  .exitOverride()
  .addHelpText(
    'after',
    () =>
      `\n${settingsHelp()}\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 finished with findings, 130 interrupted.`,
  );

for (const command of [
  initCommand,
  serveCommand,
  backfillCommand,
  reconcileCommand,
  verifyCommand,
  replayCommand,
  explainCommand,
  rebuildCommand,
  redactCommand,
  eraseCommand,
  statusCommand,
  modelsCommand,
  doctorCommand,
  migrateCommand,
  manifestCommand,
  loginCommand,
  logoutCommand,
  readerCommand,
  demoCommand,
]) {
  if (command !== serveCommand && command !== demoCommand)
    command.option('--json', 'print the result as one JSON document');
  command.option('-q, --quiet', 'no progress, and no log but warnings and errors');
  program.addCommand(command.exitOverride());
}

/** Runs what the words say, to the exit code of the process. */
export async function runProgram(words: readonly string[]): Promise<void> {
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said what is wrong, or has printed the help that was asked for.
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
}
