import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
    pool: 'forks',
    // Every file works on its own database of one shared server; more workers than cores only queue.
    maxWorkers: 2,
    // Loading the program anew for every file would be a tenth of all the work.
    isolate: false,
  },
});
