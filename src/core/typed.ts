/** Commands in messages, as they are typed in this installation. */
import { basename } from 'node:path';

const COMMANDS =
  'backfill|demo|doctor|erase|explain|init|login|logout|manifest|mcp|migrate|models|reader|rebuild|reconcile|redact|replay|serve|status|verify|--version';
const BARE = new RegExp(`(?<!npx )\\bflowlu-mirror (?=(?:${COMMANDS})(?![\\w-]))`, 'g');

/** Whether a shell finds the program by its name alone: one that npx has started, or that a checkout has, it does not. */
const isOnPath = (script: string) => basename(script) === 'flowlu-mirror' && !/[\\/]node_modules[\\/]/.test(script);

/** The text with `npx` before each of our commands that needs it. @param script what Node.js was started with */
export function asTyped(text: string, script = process.argv[1] ?? ''): string {
  return isOnPath(script) ? text : text.replace(BARE, 'npx $&');
}
