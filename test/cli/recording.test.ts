/** What `doctor --record` writes: the form of answers, enough to answer alike, and nothing of their contents. */
import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openRecording, recordingFetch } from '../../src/cli/doctor/recording.ts';
import { createRedactor } from '../../src/core/redact.ts';
import { createClient } from '../../src/flowlu/client.ts';
import { createPace, localBudget } from '../../src/flowlu/pace.ts';
import { startSimulator } from '../simulator/index.ts';

const never = new AbortController().signal;
const ACCOUNT = { module: 'crm', model: 'account', name: 'crm.account' } as const;

it('holds forms, counts, orders and error codes, and neither values nor the key', async () => {
  const portal = await startSimulator({ profile: 'as-seen', rowsPerModel: { 'crm.account': 60 } });
  try {
    const name = 'Very Private & Sons';
    portal.portal.update('crm.account', 60, { name, description: 'secret plans\r\nfor May' });
    const recording = openRecording(join(mkdtempSync(join(tmpdir(), 'recording-')), 'sub'));
    const client = createClient({
      baseUrl: portal.baseUrl,
      apiKey: portal.apiKey,
      pace: createPace(0, localBudget()),
      fetch: recordingFetch(recording, createRedactor([portal.apiKey])),
      retry: { attempts: 1 },
    });
    const { items } = await client.list(ACCOUNT, { limit: 100 }, never);
    await client.get(ACCOUNT, '60', never);
    await client.get(ACCOUNT, '999999', never).catch(() => {});
    portal.faults.firewall = true;
    await client.list(ACCOUNT, {}, never).catch(() => {});

    const text = readFileSync(recording.path, 'utf8');
    for (const secret of [name, 'secret plans', portal.apiKey, '999999']) expect(text).not.toContain(secret);
    for (const value of Object.values(items[0] ?? {})) {
      if (typeof value === 'string' && value.length > 8) expect(text).not.toContain(value);
    }
    expect(statSync(recording.path).mode & 0o777).toBe(0o600);
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({
      asked: 'crm/account/list',
      query: { limit: '100' },
      status: 200,
      body: { response: { total: 60, page: 1, count: 25 }, rows: 25, order_of_ids: 'descending' },
    });
    expect(lines[0].body.response.items[0]).toMatchObject({ id: 'number, integer, 2' });
    expect(lines[1].body.response.name).toMatch(/^string, text, \d+$/);
    expect(lines[2].body).toEqual({ error: { error_code: 20, error_msg: 'not found' } });
    expect(lines[3]).toMatchObject({ status: 403, body: expect.stringMatching(/^HTML, /) });
  } finally {
    await portal.close();
  }
});
