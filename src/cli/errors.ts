/** Errors that commands end with, and the exit code that each deserves. */
import { ConfigError } from '../config/index.ts';
import { DatabaseUrlError } from '../postgres/connection.ts';
import { OtherPortalError } from '../store/portal.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

/** The command was called in a way that cannot work; the message says how it can. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The user asked to stop. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof InterruptedError) return EXIT.interrupted;
  const isUsage = [UsageError, ConfigError, DatabaseUrlError, OtherPortalError].some((type) => error instanceof type);
  return isUsage ? EXIT.usage : EXIT.failed;
}
