#!/usr/bin/env node
// Checks what the program needs before any of it is loaded, so that the message is a sentence and not a stack.
import { existsSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';

// Let the heap grow by three quarters of what is in use between two collections, where V8 would more than double it:
// pages under way are garbage soon. It saves 50 of 230 MB and costs some 5 % of the processor time of a backfill.
setFlagsFromString('--heap-growing-percent=75');

const program = new URL('../dist/cli/main.js', import.meta.url);
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  fail(`flowlu-mirror needs Node.js 20.19 or later; this is ${process.versions.node}.`);
} else if (!existsSync(program)) {
  fail('flowlu-mirror is not built yet. In a checkout, run: npm run build');
} else {
  await import(program.href);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
