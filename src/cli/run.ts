/** How every command runs: configuration, signals, session, result, exit code. */
import cluster from 'node:cluster';
import type { Command } from 'commander';
import { type Config, ConfigError, loadConfig, telemetryEnvironment } from '../config/index.ts';
import { InterruptedError, UsageError } from '../core/errors.ts';
import { reasonOf } from '../core/files.ts';
import type { Logger } from '../core/log.ts';
import { createRedactor } from '../core/redact.ts';
import { orAborted } from '../core/time.ts';
import { startTracing } from '../core/tracing.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { useProxy } from '../flowlu/fetch.ts';
import { causeOf, UNKNOWN } from '../postgres/causes.ts';
import { DatabaseUrlError, errorCode } from '../postgres/connection.ts';
import { problemOf } from '../service/authorization.ts';
import { loggerFor, type OnMirror, openSession, type Session } from '../service/session.ts';
import { OtherPortalError } from '../store/portal.ts';
import { humanLog } from '../terminal/human-log.ts';
import { printError, printJson, spin } from '../terminal/output.ts';
import { EXIT, type ExitCode, STOP_SIGNALS } from './exit-codes.ts';

export interface CommandContext {
  readonly config: Config;
  readonly log: Logger;
  /** Aborts with `InterruptedError` when the user or the system asks to stop. */
  readonly signal: AbortSignal;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
}

export interface Result {
  /** The one document that `--json` prints. */
  readonly data: unknown;
  readonly print: () => void;
  /** Done where it is left out. */
  readonly exitCode?: ExitCode;
}

/** Options of every command that prints a result. */
export interface Flags {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export interface CommandOptions {
  /** Where log lines go: results of commands that print some own stdout. */
  readonly logTo?: 'stdout' | 'stderr';
  readonly isBusy?: boolean;
  /** For a command that makes settings or brings its own. */
  readonly ignoresSettings?: boolean;
  /** Refuses settings that the command cannot work with, before anything is started. */
  readonly check?: (context: CommandContext) => unknown;
}

/** Commands that go on, when they are called again, from what they have done. Others that are stopped say nothing. */
const RESUMED = /^(backfill|reconcile|rebuild|replay|redact|erase|migrate)$/;
const GO_ON = 'stopped on request; what was written is safe, run the command again to go on';

/**
 * Runs a command to its result and exit code; errors become messages. A second signal ends the process at once; a worker
 * has one from the terminal and one from its primary, and ends with that.
 */
export async function runCommand(
  command: Command,
  work: (context: CommandContext) => Promise<Result | ExitCode>,
  { logTo = 'stderr', isBusy = logTo === 'stderr', ignoresSettings = false, check }: CommandOptions = {},
): Promise<void> {
  const { json: isJson = false, quiet: isQuiet = false } = command.opts<Flags>();
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted && cluster.isWorker) return;
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    stop.abort(new InterruptedError(RESUMED.test(command.name()) ? GO_ON : ''));
  };
  for (const name of STOP_SIGNALS) process.on(name, onSignal);
  const settle = isBusy && !isQuiet ? spin(command.name()) : () => {};
  let redact = createRedactor([]);
  let endTracing = async () => {};
  let config: Config | null = null;
  try {
    config = ignoresSettings ? loadConfig({}) : loadConfig();
    redact = createRedactor(config.secrets);
    useProxy(config.flowlu.httpsProxy, config.flowlu.noProxy);
    const context = { config, log: logFor(config, logTo, isQuiet), signal: stop.signal, isJson, isQuiet };
    if (cluster.isPrimary) for (const { name, problem } of config.strangers) context.log.warn(`${name} ${problem}`);
    await check?.(context);
    if (!ignoresSettings) endTracing = await startTracing(telemetryEnvironment(), context.log);
    const result = await work(context);
    settle();
    process.exitCode = typeof result === 'number' ? result : show(result, isJson);
  } catch (error) {
    settle();
    const message = error instanceof InterruptedError ? error.message : messageOf(error, config);
    if (message !== '') printError(redact(message));
    process.exitCode = exitCodeOf(error);
  } finally {
    await endTracing();
    for (const name of STOP_SIGNALS) process.off(name, onSignal);
  }
}

function show({ data, print, exitCode = EXIT.done }: Result, isJson: boolean): ExitCode {
  if (isJson) printJson(data);
  else print();
  return exitCode;
}

/**
 * Lines of JSON for machines, plain ones for a person at a terminal; there a command that prints results is silent unless
 * something is wrong. What `serve` does is its result.
 */
function logFor(config: Config, logTo: 'stdout' | 'stderr', isQuiet: boolean): Logger {
  const stream = process[logTo];
  const isSilent = isQuiet || (stream.isTTY && logTo === 'stderr');
  const least = isSilent && config.logLevel === 'info' ? 'warn' : config.logLevel;
  return loggerFor(config, stream.isTTY ? humanLog(stream) : stream, least);
}

export function runWithSession(
  command: Command,
  onMirror: OnMirror,
  work: (session: Session, context: CommandContext) => Promise<Result | ExitCode>,
  options?: CommandOptions,
): Promise<void> {
  return runCommand(
    command,
    async (context) => {
      // Who only looks leaves nothing half done, and need not wait for a database that hangs.
      const unlessStopped = <T>(doing: Promise<T>) => (onMirror === 'look' ? orAborted(doing, context.signal) : doing);
      const opening = openSession(context.config, { ...context, command: command.name(), onMirror });
      const session = await unlessStopped(opening);
      try {
        return await unlessStopped(work(session, context));
      } finally {
        await session.close();
      }
    },
    options,
  );
}

function messageOf(error: unknown, config: Config | null): string {
  if (error instanceof FlowluError && config !== null) {
    const { sentence, remedy } = problemOf(error, config);
    return remedy === null ? error.message : `${sentence}. ${remedy}.`;
  }
  const message = error instanceof Error ? error.message : String(error);
  // The network's codes may be of the portal or of our own listener; an error that wraps them says what it is about.
  const isBare = errorCode(error) !== undefined || error instanceof AggregateError;
  const known = isBare ? causeOf(error) : UNKNOWN;
  if (known !== UNKNOWN) return `${known.cause} (${message}): ${known.remedy}`;
  const { path } = error as NodeJS.ErrnoException;
  if (path !== undefined) return `${path} cannot be used: ${reasonOf(error)}`;
  return message === '' ? `failed: ${(error as { code?: string }).code ?? 'for an unknown reason'}` : message;
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof InterruptedError) return EXIT.interrupted;
  const isUsage = [UsageError, ConfigError, DatabaseUrlError, OtherPortalError].some((type) => error instanceof type);
  return isUsage ? EXIT.usage : EXIT.failed;
}
