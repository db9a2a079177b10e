/** The source's own time of last change: where it is read from, and when it is believed. */
import { describe, expect, it } from 'vitest';
import { findModel, models } from '../../src/catalog/index.ts';
import { MICROS_PER_DAY } from '../../src/core/time.ts';
import { compareVersions, credible, versionOf } from '../../src/record/version.ts';
import { createZone } from '../../src/record/zone.ts';

const zone = createZone('Europe/Berlin');
const at = (text: string) => Date.parse(text) * 1_000;

describe('the version of a record', () => {
  it.each(models.filter(({ version }) => version !== null).map(({ name, version }) => [name, version as string]))(
    'of %s is its %s, in the zone of the portal',
    (name, field) => {
      const model = findModel(name) ?? null;
      expect(versionOf(model, { id: 1, [field]: '2026-07-01 12:00:00' }, zone)?.at).toBe(at('2026-07-01T10:00:00Z'));
      expect(versionOf(model, { id: 1, [field.toUpperCase()]: '2026-07-01 12:00:00' }, zone)?.at).toBe(
        at('2026-07-01T10:00:00Z'),
      );
    },
  );

  it('is null where the model has none, whatever the record holds', () => {
    const undated = models.filter(({ version }) => version === null);
    expect(undated.length).toBeGreaterThan(5);
    for (const model of undated) {
      expect(
        versionOf(model, { id: 1, updated_date: '2026-07-01 12:00:00', updated: '2026-07-01 12:00:00' }, zone),
      ).toBeNull();
    }
  });

  it.each([null, '', '0000-00-00 00:00:00', 'soon', 0, 1_700_000_000, {}, true])(
    'is null where the field reads %j',
    (value) => {
      expect(versionOf(findModel('crm.account') ?? null, { id: 1, updated_date: value }, zone)).toBeNull();
    },
  );

  it('of an unknown model is the first of the usual fields that reads as a time', () => {
    const record = { id: 1, updated_date: '', updated_at: '2026-07-01 12:00:00', updated: '2020-01-01 00:00:00' };
    expect(versionOf(null, record, zone)?.at).toBe(at('2026-07-01T10:00:00Z'));
    expect(versionOf(null, { id: 1 }, zone)).toBeNull();
  });
});

it('a version is believed up to a day ahead of its observation, and then decides nothing', () => {
  const version = zone.resolve('2026-07-02 12:00:00');
  const moment = version?.at ?? 0;
  expect(credible(version, moment - MICROS_PER_DAY)).toBe(version);
  expect(credible(version, moment - MICROS_PER_DAY - 1)).toBeNull();
  expect(credible(null, 0)).toBeNull();
});

it('versions compare by their order, and not at all where one is missing', () => {
  const [a, b] = [zone.resolve('2026-10-25 02:10:00'), zone.resolve('2026-10-25 02:50:00')];
  expect(compareVersions(a, b)).toBe(0);
  expect(compareVersions(zone.resolve('2026-10-25 01:00:00'), a)).toBeLessThan(0);
  expect(compareVersions(zone.resolve('2026-10-25 03:00:00'), a)).toBeGreaterThan(0);
  expect([compareVersions(null, a), compareVersions(a, null), compareVersions(null, null)]).toEqual([null, null, null]);
});
