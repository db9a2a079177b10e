#!/usr/bin/env node
// Checks what the program needs before any of it is loaded, so that the message is a sentence and not a stack.
import { existsSync } from 'node:fs';
import module from 'node:module';
import { join } from 'node:path';

const program = new URL('../dist/cli/main.js', import.meta.url);
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  fail(`flowlu-mirror needs Node.js 20.19 or later; this is ${process.versions.node}.`);
} else if (!existsSync(program)) {
  fail('flowlu-mirror is not built yet. In a checkout, run: npm run build');
} else {
  // Node 22 and later keep what they compiled, which takes a fifth off the start. Not where Node would by itself, in the
  // directory for everybody's temporary files: what lies there may be a stranger's, and would be run.
  const { HOME, XDG_CACHE_HOME = HOME && join(HOME, '.cache'), NODE_COMPILE_CACHE } = process.env;
  const cache = NODE_COMPILE_CACHE ?? (XDG_CACHE_HOME && join(XDG_CACHE_HOME, 'flowlu-mirror'));
  if (cache) module.enableCompileCache?.(cache);
  await import(program.href);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
