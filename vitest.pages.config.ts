import { defineConfig } from 'vitest/config';

/** `npm run test:pages`: looks at the pages in a real browser (Debian's Chromium; CHROMIUM names another). */
export default defineConfig({
  test: {
    include: ['test/pages/*.page.ts'],
    globalSetup: ['test/pages/install.ts', 'test/global-setup.ts'],
    testTimeout: 120_000,
    teardownTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
