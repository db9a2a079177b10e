#!/usr/bin/env node
// Checks what the program needs before any of it is loaded, so that the message is a sentence and not a stack.
import { existsSync } from 'node:fs';
import module from 'node:module';

const program = new URL('../dist/cli/main.js', import.meta.url);
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  fail(`flowlu-mirror needs Node.js 20.19 or later; this is ${process.versions.node}.`);
} else if (!existsSync(program)) {
  fail('flowlu-mirror is not built yet. In a checkout, run: npm run build');
} else {
  // Node 22 and later keep what they compiled, which takes a fifth off the start.
  module.enableCompileCache?.();
  await import(program.href);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
