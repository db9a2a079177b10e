/** What `doctor --record` writes: the form of answers, enough to answer alike, and nothing of their contents. */
import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import { createRedactor } from '../../src/core/redact.ts';
import { probeQueries, type VersionedModel } from '../../src/doctor/probe.ts';
import { openRecording, recordingFetch } from '../../src/doctor/recording.ts';
import { createClient } from '../../src/flowlu/client.ts';
import { createPace, localBudget } from '../../src/flowlu/pace.ts';
import { listPages } from '../../src/listing/listing.ts';
import { startSimulator } from '../simulator/index.ts';
import { startRecordedPortal } from '../support/recorded-portal.ts';

const never = new AbortController().signal;
async function everyId(client: Parameters<typeof listPages>[0]) {
  const listing = listPages(client, ACCOUNT, { signal: never });
  const ids: string[] = [];
  for (;;) {
    const step = await listing.next();
    if (step.done) return { ids, summary: step.value };
    ids.push(...step.value.items.map(({ id }) => String(id)));
  }
}

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
    const newestFirst = { limit: 10, orderBy: { field: 'updated_date', direction: 'desc' } } as const;
    await client.list(ACCOUNT, newestFirst, never);
    delete portal.faults.ignoreOrder;
    await client.list(ACCOUNT, newestFirst, never);
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
    expect(lines[0].body).not.toHaveProperty('in_order');
    expect(lines.splice(1, 2).map(({ body }) => body.in_order)).toEqual([false, true]);
    expect(lines[1].body.response.name).toMatch(/^string, text, \d+$/);
    expect(lines[2].body).toEqual({ error: { error_code: 20, error_msg: 'not found' } });
    expect(lines[3]).toMatchObject({ status: 403, body: expect.stringMatching(/^HTML, /) });
  } finally {
    await portal.close();
  }
});

it.each(['documented', 'as-seen'] as const)(
  'can be replayed: a portal %s answers in the same ways again',
  async (profile) => {
    const portal = await startSimulator({ profile, rowsPerModel: { 'crm.account': 230 } });
    try {
      portal.faults.errorCode = { models: ['fin.*'], value: 22 };
      const recording = openRecording(mkdtempSync(join(tmpdir(), 'recording-')));
      const options = { pace: createPace(0, localBudget()), retry: { attempts: 1 } };
      const fetch = recordingFetch(recording, createRedactor([portal.apiKey]));
      const client = createClient({ baseUrl: portal.baseUrl, apiKey: portal.apiKey, ...options, fetch });
      const told = async (asked: typeof client) => {
        const { checks } = await probeQueries(asked, findModel('crm.account') as VersionedModel, never);
        // Moments are made up, and no interval of the recording is one of theirs.
        const told = checks.filter(({ name }) => name !== 'filter on time of change');
        return told.map(({ name, status, found }) => `${name}: ${status}, ${found}`);
      };
      const { summary } = await everyId(client);
      const probed = await told(client);
      const { record } = await client.get(ACCOUNT, '5', never);
      const INVOICE = { module: 'fin', model: 'invoice', name: 'fin.invoice' };
      await client.list(INVOICE, { limit: 1 }, never).catch(() => {});

      await using replayed = await startRecordedPortal(readFileSync(recording.path, 'utf8'));
      const again = replayed.client();
      const found = await everyId(again);
      expect(found.summary).toMatchObject({ complete: true, mode: summary.mode, measured: summary.measured });
      expect(new Set(found.ids).size).toBe(230);
      expect(await told(again)).toEqual(probed);
      const { record: made } = await again.get(ACCOUNT, '7', never);
      expect(Object.keys(made)).toEqual(Object.keys(record));
      expect(made.id).toBe(7);
      await expect(again.list(INVOICE, { limit: 1 }, never)).rejects.toMatchObject({ kind: 'forbidden', code: 22 });
    } finally {
      await portal.close();
    }
  },
);
