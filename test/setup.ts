/** Test files share one process after another: what one of them changes for all is put back when it ends. */
import fc from 'fast-check';
import { afterAll, vi } from 'vitest';
import { useOwnNames } from '../src/catalog/other-names.ts';
import { useProxy } from '../src/flowlu/fetch.ts';
import { DEADLINES } from '../src/postgres/deadline.ts';
import { SEED } from './support/seed.ts';

fc.configureGlobal({ seed: SEED });

// Loaded before the first file changes them, and kept from one file to the next.
const shared = globalThis as { usualDeadlines?: typeof DEADLINES };
shared.usualDeadlines ??= { ...DEADLINES };
const usual = shared.usualDeadlines;

afterAll(() => {
  Object.assign(DEADLINES, usual);
  useOwnNames([], []);
  useProxy();
  vi.useRealTimers();
  vi.unstubAllEnvs();
});
