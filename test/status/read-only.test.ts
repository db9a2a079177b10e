/** A database that takes no writes is told alike by who tries to write and by who only looks. */
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { createLogger } from '../../src/core/log.ts';
import type { Check } from '../../src/doctor/check.ts';
import { examine } from '../../src/doctor/examine.ts';
import { runHere } from '../e2e/command.ts';
import { createTestDatabase } from '../support/database.ts';
import { never } from '../support/mirror.ts';

it('a database set to read-only is found by status, with 3, and by doctor, which ends in order', async () => {
  const database = await createTestDatabase();
  try {
    await database.sql.unsafe(`alter database ${database.name} set default_transaction_read_only = on`);
    const env = { DATABASE_URL: database.url, FLOWLU_MODELS: 'crm.account' };
    const { code, stdout } = await runHere(['status'], { cwd: import.meta.dirname, env });
    expect(code).toBe(3);
    expect(stdout).toMatch(/✖ Webhooks cannot be recorded: the database takes no writes/);
    expect(stdout).toMatch(/reset default_transaction_read_only/);
    const checks: Check[] = [];
    const config = loadConfig({
      ...env,
      FLOWLU_BASE_URL: 'http://127.0.0.1:1/api/v1/module',
      FLOWLU_API_KEY: 'a-key-4711',
    });
    const log = createLogger({ level: 'silent' });
    await examine({ config, log, signal: never, say: () => {} }, { quick: true }, (check) => checks.push(check));
    expect(checks.filter(({ status }) => status === 'fail').map(({ name }) => name)).toEqual(['writing', 'portal']);
  } finally {
    await database.close();
  }
});
