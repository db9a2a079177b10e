/** Parsers of one variable's text. What a parser expects stands in one sentence: its errors, help and the pages show it. */
import { resolve } from 'node:path';
import ms, { type StringValue } from 'ms';

export interface Parser<T> {
  /** Completes "must be …"; empty where the help says it all. */
  readonly expects: string;
  /** @throws Error whose message follows the variable's name and says what is wrong and what to do. */
  readonly read: (text: string) => T;
}

const MAX_SHOWN = 60;

/**
 * A parser that shows the value in its errors; not for secrets.
 * @param read gives undefined for what is not expected, or throws where there is more to say
 */
export function parser<T>(expects: string, read: (text: string) => T | undefined): Parser<T> {
  return {
    expects,
    read(text) {
      const value = read(text);
      if (value === undefined) throw new Error(`${quoted(text)} must be ${expects}`);
      return value;
    },
  };
}

/** Text in quotation marks for a message: shortened, without control characters. */
export function quoted(text: string): string {
  const short = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN).toWellFormed()}…` : text;
  return `"${short.replace(/\p{Cc}+/gu, ' ')}"`;
}

/** The different words of a list, which commas or spaces separate. */
export function wordsOf(text: string): readonly string[] {
  return [...new Set(text.split(/[,\s]+/).filter((word) => word !== ''))];
}

export function oneOf<const T extends string>(...words: readonly T[]): Parser<T> {
  const expects = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  return parser(expects, (text) => words.find((word) => word === text));
}

/** A length of time in milliseconds, or 0. A bare number is refused because nobody can tell its unit. */
export function duration(min: StringValue, max: StringValue, example: StringValue): Parser<number> {
  return parser(`0 or a number with a unit from ${min} to ${max}, such as ${example}`, (text) => {
    if (/^0+\s*[a-z]*$/i.test(text)) return 0;
    const millis = /^[\d.]+\s*[a-z]+$/i.test(text) ? ms(text as StringValue) : undefined;
    return millis !== undefined && millis >= ms(min) && millis <= ms(max) ? Math.round(millis) : undefined;
  });
}

export function number(min: number, max: number): Parser<number> {
  return parser(`a number from ${min} to ${max}`, (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  });
}

export function wholeNumber(min: number, max: number): Parser<number> {
  return parser(`a whole number from ${min} to ${max}`, (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  });
}

const UNITS = { '': 1, k: 1024, m: 1024 ** 2 };

/** A size in bytes; its units are powers of 1,024. */
export function size(min: string, max: string): Parser<number> {
  return parser(`a size from ${min} to ${max}`, (text) => {
    const bytes = bytesOf(text);
    return bytes >= bytesOf(min) && bytes <= bytesOf(max) ? bytes : undefined;
  });
}

function bytesOf(text: string): number {
  const [, digits, unit = ''] = /^(\d+)\s*(k|m|)i?b?$/i.exec(text) ?? [];
  return Number(digits) * UNITS[unit.toLowerCase() as keyof typeof UNITS];
}

export const timezone = parser('an IANA time zone such as Europe/Berlin', (text) => {
  // Offsets such as +03:00 are refused: PostgreSQL reads their sign the other way round.
  if (!/^[a-z]/i.test(text)) return undefined;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return text;
  } catch {
    return undefined;
  }
});

export const text: Parser<string> = { expects: '', read: (text) => text };

/** The path of a file, made absolute. */
export const path: Parser<string> = { expects: '', read: (text) => resolve(text) };

export const line = parser('one line of 200 characters at most', (text) =>
  text.length > 200 || /\p{Cc}/u.test(text) ? undefined : text,
);
