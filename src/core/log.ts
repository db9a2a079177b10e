/**
 * The logger: one JSON line per event on stdout, without secrets and of limited length.
 *
 * Redaction works on the finished line, so no caller can forget it. JSON escapes control characters, so no value can
 * fake a line.
 */
import { type DestinationStream, type LevelWithSilent, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import { createRedactor, type Redact } from './redact.ts';
import { visible } from './visible.ts';

/** A logger. `child({ … })` adds fields to all its lines. Errors go under the key `err`. */
export type Logger = PinoLogger;

interface LoggerOptions {
  readonly level: LevelWithSilent;
  /** stdout if absent. */
  readonly stream?: DestinationStream;
  /** Values that must never appear, in any spelling used in URLs or JSON. */
  readonly secrets?: readonly string[];
  readonly version?: string;
}

interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string | number;
  readonly stack?: string;
  /** Nearest first. */
  readonly causes?: readonly DescribedError[];
}

const MAX_STRING = 2_000;
const MAX_CAUSES = 5;
const MAX_FRAMES = 12;
const MAX_LINE = 32_768;
/** Levels are words; times are ISO 8601 in UTC. */
export function createLogger({ level, stream, secrets = [], version }: LoggerOptions): Logger {
  const redact = createRedactor(secrets);
  const options = {
    level,
    base: { service: 'flowlu-mirror', ...(version && { version }) },
    timestamp: stdTimeFunctions.isoTime,
    serializers: { err: describeError },
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: (line: string) => cleanLine(line, redact) },
  };
  return stream ? pino(options, stream) : pino(options);
}

/** What the log keeps of an error: type, message, code, the first stack frames and a limited chain of causes. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const causes = causesOf(error).map(describeOne);
  const frames = framesOf(error);
  return { ...describeOne(error), ...(frames && { stack: frames }), ...(causes.length > 0 && { causes }) };
}

function describeOne(error: unknown): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { code } = error as { code?: unknown };
  const known = typeof code === 'string' || typeof code === 'number';
  return { type: error.name, message: error.message, ...(known && { code }) };
}

function causesOf(error: unknown): readonly unknown[] {
  const found = nextCauses(error);
  // It grows while it is gone through: the causes of causes follow.
  for (const cause of found) if (found.length < MAX_CAUSES) found.push(...nextCauses(cause));
  return found.slice(0, MAX_CAUSES);
}

function nextCauses(error: unknown): unknown[] {
  if (!(error instanceof Error)) return [];
  const several = error instanceof AggregateError ? error.errors : [];
  return [error.cause, ...several].filter((cause) => cause !== undefined).slice(0, MAX_CAUSES);
}

/** Only the frames: the first lines of a stack repeat the message, including its parameters. */
function framesOf(error: Error): string {
  const lines = (error.stack ?? '').split('\n').map((line) => line.trim());
  const frames = lines.filter((line) => line.startsWith('at '));
  return frames.slice(0, MAX_FRAMES).join('\n');
}

/** Redacts, then shortens, every string of a JSON line. Numbers keep all their digits. */
function cleanLine(line: string, redact: Redact): string {
  const clean = line.replace(/"[^"\\]*(?:\\.[^"\\]*)*"/g, (literal) => {
    const text = JSON.parse(literal) as string;
    const short = shorten(redact(text));
    return short === text ? literal : JSON.stringify(short);
  });
  if (clean.length <= MAX_LINE) return visible(clean, /\n/);
  const { level, time, service, version, msg } = JSON.parse(clean) as Record<string, unknown>;
  return `${JSON.stringify({ level, time, service, version, msg, dropped_characters: clean.length })}\n`;
}

function shorten(text: string): string {
  if (text.length <= MAX_STRING) return text;
  return `${text.slice(0, MAX_STRING).toWellFormed()}… (${text.length} characters)`;
}
