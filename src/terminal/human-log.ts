/** The log on a terminal: one readable line for each line of JSON. */
import type { DestinationStream } from 'pino';
import { coloursOf, type TextStream, write } from './output.ts';

const HIDDEN = new Set(['level', 'time', 'service', 'version', 'msg', 'err']);

/** Writes log lines as time, message and fields. Anything that is not JSON is printed unchanged. */
export function humanLog(stream: TextStream): DestinationStream {
  const { red, yellow, dim } = coloursOf(stream);
  const paint = (level: string) => (level === 'error' || level === 'fatal' ? red : level === 'warn' ? yellow : String);
  return {
    write(line: string) {
      const entry = parse(line);
      if (entry === null) return write(stream, line);
      const fields = Object.entries(entry).filter(([name, value]) => !HIDDEN.has(name) && value !== null);
      const more = fields.map(
        ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
      const { err } = entry as { err?: { message?: string } };
      const text = [String(entry.msg), ...(err?.message === undefined ? [] : [err.message])].join(': ');
      const clock = new Date(String(entry.time)).toTimeString().slice(0, 8);
      const said = `${dim(clock)} ${paint(String(entry.level))(clean(text))}`;
      write(stream, more.length === 0 ? `${said}\n` : `${said} ${dim(clean(more.join(' ')))}\n`);
    },
  };
}

const clean = (text: string) => text.replace(/\p{Cc}+/gu, ' ');

function parse(line: string): Record<string, unknown> | null {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}
