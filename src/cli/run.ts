/** How every command runs: configuration, signals, session, exit code. */
import { type Config, ConfigError, loadConfig } from '../config/index.ts';
import { InterruptedError, UsageError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { createRedactor } from '../core/redact.ts';
import { causeOf } from '../postgres/causes.ts';
import { DatabaseUrlError, isConnectionError } from '../postgres/connection.ts';
import { loggerFor, type OnMirror, openSession, type Session } from '../service/session.ts';
import { OtherPortalError } from '../store/portal.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { humanLog } from './human-log.ts';
import { printError } from './output.ts';

export interface CommandContext {
  readonly config: Config;
  readonly log: Logger;
  /** Aborts with `InterruptedError` when the user or the system asks to stop. */
  readonly signal: AbortSignal;
}

export interface CommandOptions {
  readonly name: string;
  /** Where log lines go: results of commands that print some own stdout. */
  readonly logTo: 'stdout' | 'stderr';
  /** Refuses settings that the command cannot work with, before anything is started. */
  readonly check?: (context: CommandContext) => unknown;
}

/** SIGHUP: the terminal was closed. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** How long the process may take to end by itself once its work is done. */
const LINGER_MS = 1_000;

/** Runs a command to its exit code; errors become messages. A second signal ends the process at once. */
export async function runCommand(
  options: CommandOptions,
  work: (context: CommandContext) => Promise<ExitCode>,
): Promise<void> {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort(new InterruptedError('stopped on request; what was written is safe, run the command again to go on'));
  };
  for (const name of STOP_SIGNALS) process.on(name, onSignal);
  let redact = createRedactor([]);
  try {
    const config = loadConfig();
    redact = createRedactor(config.secrets);
    const context = { config, log: logFor(config, options.logTo), signal: stop.signal };
    await options.check?.(context);
    process.exitCode = await work(context);
  } catch (error) {
    printError(redact(messageOf(error)));
    process.exitCode = exitCodeOf(error);
  } finally {
    for (const name of STOP_SIGNALS) process.off(name, onSignal);
    // A connection to a database that hangs waits for a farewell that never comes, and would keep the process.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}

/**
 * Lines of JSON for machines, plain ones for a person at a terminal; there a command that prints results is silent unless
 * something is wrong. What `serve` does is its result.
 */
function logFor(config: Config, logTo: 'stdout' | 'stderr'): Logger {
  const stream = process[logTo];
  if (!stream.isTTY) return loggerFor(config, stream);
  const least = logTo === 'stderr' && config.logLevel === 'info' ? 'warn' : config.logLevel;
  return loggerFor(config, humanLog(stream), least);
}

/** Runs a command that needs the database. */
export function runWithSession(
  options: CommandOptions & { readonly onMirror: OnMirror },
  work: (session: Session, context: CommandContext) => Promise<ExitCode>,
): Promise<void> {
  return runCommand(options, async (context) => {
    const session = await openSession(context.config, {
      ...context,
      command: options.name,
      onMirror: options.onMirror,
    });
    try {
      return await work(session, context);
    } finally {
      await session.close();
    }
  });
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const { cause, remedy } = causeOf(error);
  if (isConnectionError(error)) return `${cause} (${message}): ${remedy}`;
  return message === '' ? `failed: ${(error as { code?: string }).code ?? 'for an unknown reason'}` : message;
}

/** The exit code for an error that ended a command. */
function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof InterruptedError) return EXIT.interrupted;
  const isUsage = [UsageError, ConfigError, DatabaseUrlError, OtherPortalError].some((type) => error instanceof type);
  return isUsage ? EXIT.usage : EXIT.failed;
}
