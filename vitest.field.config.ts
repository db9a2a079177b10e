import { defineConfig } from 'vitest/config';

/** `npm run test:field`: real servers, poolers and proxies (Debian, as root); takes some minutes. */
export default defineConfig({
  test: {
    include: ['test/field/*.field.ts'],
    globalSetup: ['test/field/install.ts'],
    testTimeout: 240_000,
    hookTimeout: 240_000,
    pool: 'forks',
    maxWorkers: 1,
    reporters: ['verbose'],
  },
});
