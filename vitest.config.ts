import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
    pool: 'forks',
    // Every file works on its own database of one shared server; one more than two cores, since some only wait.
    maxWorkers: 3,
    // Loading the program anew for every file would be a tenth of all the work.
    isolate: false,
    // Colours are asked for where they are tested.
    env: { NO_COLOR: '1' },
  },
});
