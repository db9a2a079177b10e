import { expect, it } from 'vitest';
import { createReminders } from '../../src/service/background.ts';
import type { Finding } from '../../src/status/finding.ts';
import type { Health } from '../../src/status/health.ts';

const finding = (models: readonly string[], severity: Finding['severity'] = 'care'): Finding => ({
  code: 'models_unreadable',
  severity,
  since: null,
  sentence: `${models.length} models not read in full: access denied`,
  remedy: "Give the key's user the right to read them",
  command: 'flowlu-mirror doctor',
  models,
});

const away: Finding = { ...finding([], 'bad'), code: 'database_away', sentence: 'The database is away' };
const locked: Finding = { ...finding([], 'bad'), code: 'locked', sentence: 'Webhooks cannot be recorded' };
/** What a look finds while the facts can be read, or cannot. */
const seen = (findings: readonly Finding[], isReadable = true) =>
  ({ findings, situation: { kind: isReadable ? 'there' : 'locked' } }) as unknown as Health;

it('names what needs a person when it was found twice, once a day while it lasts, and says once that it is over', () => {
  const said: unknown[] = [];
  const over: unknown[] = [];
  let hours = 0;
  const log = { warn: (fields: object) => said.push(fields), info: (fields: object) => over.push(fields) };
  const remind = createReminders(log as never, () => hours * 3_600_000);
  const number = (...findings: readonly Finding[]) => {
    remind(seen(findings, !findings.some((one) => one === away || one === locked)));
    return said.splice(0).length;
  };
  const half = finding(['crm.lead', 'fin.invoice']);
  // For a moment, it is nobody's business.
  expect([number(away), number(), over.length]).toEqual([0, 0, 0]);
  expect(number(half)).toBe(0);
  remind(seen([half]));
  expect(said.splice(0)).toEqual([
    expect.objectContaining({ finding: 'models_unreadable', models: ['crm.lead', 'fin.invoice'] }),
  ]);
  hours = 23;
  expect(number(half)).toBe(0);
  // Another model is news.
  const both = [half, finding(['task.tasks'])];
  expect([number(...both), number(...both), number(...both)]).toEqual([0, 1, 0]);
  // So is another cause.
  const other = { ...half, remedy: 'Open the records in Flowlu and save them again' };
  expect([number(other), number(other)]).toEqual([0, 1]);
  expect([number(half), number(half)]).toEqual([0, 1]);
  hours = 48;
  expect(number(half)).toBe(1);
  // While the database is away or its tables are locked, nothing is known of the rest.
  for (const one of [away, locked]) {
    expect([number(one), number(one), number(half)]).toEqual([0, 1, 0]);
    expect(over.splice(0)).toEqual([{ finding: one.code }]);
  }
  expect([number(), number()]).toEqual([0, 0]);
  expect(over.splice(0)).toEqual([{ finding: 'models_unreadable' }]);
  expect([number(half), number(half)]).toEqual([0, 1]);
  const note = finding(['crm.account'], 'note');
  expect([number(note), number(note)]).toEqual([0, 0]);
});
