import { expect, it } from 'vitest';
import { createReminders } from '../../src/service/reminders.ts';
import type { Finding } from '../../src/status/findings.ts';

const finding = (models: readonly string[], severity: Finding['severity'] = 'care'): Finding => ({
  code: 'models_unreadable',
  severity,
  since: null,
  sentence: `${models.length} models not read in full: access denied`,
  remedy: "Give the key's user the right to read them",
  command: 'flowlu-mirror doctor',
  models,
});

it('names what needs a person when it is found, once a day while it lasts, and at once when it comes back', () => {
  const said: unknown[] = [];
  let hours = 0;
  const remind = createReminders({ warn: (fields: object) => said.push(fields) } as never, () => hours * 3_600_000);
  const number = (...findings: readonly Finding[]) => {
    remind(findings);
    return said.splice(0).length;
  };
  const half = finding(['crm.lead', 'fin.invoice']);
  remind([half]);
  expect(said.splice(0)).toEqual([
    expect.objectContaining({ finding: 'models_unreadable', models: ['crm.lead', 'fin.invoice'] }),
  ]);
  hours = 23;
  expect(number(half)).toBe(0);
  // Another model is news.
  expect(number(half, finding(['task.tasks']))).toBe(1);
  hours = 25;
  expect(number(half)).toBe(1);
  expect(number()).toBe(0);
  expect(number(half)).toBe(1);
  expect(number(finding(['crm.account'], 'note'))).toBe(0);
});
