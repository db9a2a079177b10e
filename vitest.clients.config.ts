import { defineConfig } from 'vitest/config';

/** `npm run test:clients`: installs real clients (Debian, as root) and lets them read the mirror. */
export default defineConfig({
  test: {
    include: ['test/clients/*.client.ts'],
    globalSetup: ['test/clients/install.ts', 'test/global-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
