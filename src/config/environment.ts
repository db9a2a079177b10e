/** Where the texts of settings come from: the environment, `.env`, which `init` writes, and files that hold one secret. */
import { closeSync, openSync, readSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { parse as parseDotenv } from 'dotenv';
import { reasonOf } from '../core/files.ts';
import { ConfigError } from './errors.ts';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

const MAX_FILE_BYTES = 65_536;

/**
 * The environment, completed by a `.env` in the working directory. A variable that the environment has, even an
 * empty one, hides that of `.env`; `NAME` and `NAME_FILE` hide each other, because they are one setting.
 * @throws ConfigError for a `.env` that cannot be read.
 */
export function readEnvironment(dotenv = readDotenv()): Environment {
  const { env } = process;
  const isHidden = (name: string) => {
    const plain = name.replace(/_FILE$/, '');
    return env[plain] !== undefined || env[`${plain}_FILE`] !== undefined;
  };
  const file = Object.entries(dotenv).filter(([name]) => !isHidden(name));
  return { ...Object.fromEntries(file), ...env };
}

/** The environment, with the variables of OpenTelemetry that `.env` has put where its SDK looks for them. */
export function telemetryEnvironment(): Environment {
  const own = Object.entries(readEnvironment()).filter(([name]) => name.startsWith('OTEL_'));
  return Object.assign(process.env, Object.fromEntries(own));
}

/** @throws ConfigError for a file that cannot be read. */
export function readDotenv(): Environment {
  try {
    return parseDotenv(readText('.env'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new ConfigError([{ name: '.env', problem: `the file cannot be used: ${reasonOf(error)}` }]);
  }
}

/**
 * The text of a small file, in UTF-8 or, with a byte order mark, in UTF-16, as Windows writes it.
 * @throws Error for a file that is missing, too large, or no such text.
 */
export function readText(path: string): string {
  const bytes = readBytes(path);
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Error('is not text in UTF-8; save it as UTF-8');
  }
  if (text.includes('\0')) throw new Error('holds zero bytes, as UTF-16 has them; save it as UTF-8');
  return text;
}

/** Reads piece by piece, since the size of a pipe is not known beforehand. */
function readBytes(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0; length += read) {
      if (length > MAX_FILE_BYTES) throw new Error(`is larger than ${MAX_FILE_BYTES} bytes`);
      read = readSync(file, buffer, length, buffer.length - length, null);
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

/** Puts the settings in the place of those that the text has, the portal's address always; every other line stays. */
export async function writeSettings(
  file: string,
  before: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const names = ['FLOWLU_COMPANY', 'FLOWLU_BASE_URL', ...Object.keys(settings)].join('|');
  const replaced = new RegExp(`^\\s*(?:export\\s+)?(?:${names})(?:_FILE)?\\s*=`);
  const kept = before.split('\n').filter((line) => !replaced.test(line));
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const text = [...kept.join('\n').trimEnd().split('\n'), ...lines].filter((line, index) => index > 0 || line !== '');
  await writeFile(file, `${text.join('\n')}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
}
