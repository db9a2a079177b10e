/** The exit code that each error deserves. */
import { ConfigError } from '../config/index.ts';
import { InterruptedError, UsageError } from '../core/errors.ts';
import { DatabaseUrlError } from '../postgres/connection.ts';
import { OtherPortalError } from '../store/portal.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof InterruptedError) return EXIT.interrupted;
  const isUsage = [UsageError, ConfigError, DatabaseUrlError, OtherPortalError].some((type) => error instanceof type);
  return isUsage ? EXIT.usage : EXIT.failed;
}
