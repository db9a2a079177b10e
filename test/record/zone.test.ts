/** Wall clocks onto the time line: ordinary days, both switches of a zone, and zones that switch oddly. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMicros } from '../../src/core/time.ts';
import { createZone } from '../../src/record/zone.ts';

const iso = (zone: string, wall: string) => {
  const resolved = createZone(zone).resolve(wall);
  return resolved === null ? null : formatMicros(resolved.at).replace('.000000Z', 'Z');
};
const order = (zone: string, wall: string) => createZone(zone).resolve(wall)?.order ?? Number.NaN;

describe('a wall time', () => {
  it.each([
    ['UTC', '2026-03-29 02:30:00', '2026-03-29T02:30:00Z'],
    ['Europe/Berlin', '2026-01-01 00:00:00', '2025-12-31T23:00:00Z'],
    ['Asia/Kathmandu', '2026-01-01 00:00:00', '2025-12-31T18:15:00Z'],
    ['America/St_Johns', '2026-07-01 12:00:00', '2026-07-01T14:30:00Z'],
    ['Pacific/Kiritimati', '2026-01-01 00:00:00', '2025-12-31T10:00:00Z'],
    // Samoa left out the 30th of December 2011.
    ['Pacific/Apia', '2011-12-31 00:00:00', '2011-12-30T10:00:00Z'],
    ['Pacific/Apia', '2011-12-29 23:59:59', '2011-12-30T09:59:59Z'],
  ])('of %s at %s is %s', (zone, wall, expected) => {
    expect(iso(zone, wall)).toBe(expected);
  });

  it('that the spring switch skips is read with the offset from before it', () => {
    expect(iso('Europe/Berlin', '2026-03-29 01:59:59')).toBe('2026-03-29T00:59:59Z');
    expect(iso('Europe/Berlin', '2026-03-29 02:30:00')).toBe('2026-03-29T01:30:00Z');
    expect(iso('Europe/Berlin', '2026-03-29 03:00:00')).toBe('2026-03-29T01:00:00Z');
    expect(iso('Australia/Lord_Howe', '2026-10-04 02:15:00')).toBe('2026-10-03T15:45:00Z');
  });

  it('of the repeated hour is its first occurrence, and orders as equal to all of the hour and to nothing else', () => {
    expect(iso('Europe/Berlin', '2026-10-25 02:30:00')).toBe('2026-10-25T00:30:00Z');
    const hour = ['02:00:00', '02:30:00', '02:59:59'].map((time) => order('Europe/Berlin', `2026-10-25 ${time}`));
    expect(new Set(hour).size).toBe(1);
    expect(order('Europe/Berlin', '2026-10-25 01:59:59')).toBeLessThan(hour[0] as number);
    expect(order('Europe/Berlin', '2026-10-25 03:00:00')).toBeGreaterThan(hour[0] as number);
    expect(order('Europe/Berlin', '2026-10-25 01:59:58')).toBeLessThan(order('Europe/Berlin', '2026-10-25 01:59:59'));
  });

  it('of the half hour that Lord Howe repeats is equal within it, and ordered outside', () => {
    const half = ['01:30:00', '01:45:00', '01:59:59'].map((time) => order('Australia/Lord_Howe', `2026-04-05 ${time}`));
    expect(new Set(half).size).toBe(1);
    expect(iso('Australia/Lord_Howe', '2026-04-05 01:30:00')).toBe('2026-04-04T14:30:00Z');
    expect(order('Australia/Lord_Howe', '2026-04-05 01:29:59')).toBeLessThan(half[0] as number);
    expect(order('Australia/Lord_Howe', '2026-04-05 02:00:00')).toBeGreaterThan(half[0] as number);
  });

  it.each([
    '',
    'x',
    '2026-02-30',
    '2026-00-10',
    '2026-1-1',
    '0000-01-01',
    '2026-01-01 24:00:00',
    '2026-01-01 10:00:60',
    '2026-01-01 10',
    '10:00:00',
    '2026-01-01 10:00:00 Europe/Berlin',
  ])('is not %j', (text) => {
    expect(createZone('Europe/Berlin').resolve(text)).toBeNull();
  });

  it('with an offset of its own needs no zone', () => {
    expect(iso('Europe/Berlin', '2026-10-25T02:30:00+02:00')).toBe('2026-10-25T00:30:00Z');
    expect(iso('Europe/Berlin', '2026-10-25T02:30:00+01')).toBe('2026-10-25T01:30:00Z');
    expect(iso('Europe/Berlin', '2026-10-25T02:30:00-0330')).toBe('2026-10-25T06:00:00Z');
  });
});

it('an unknown zone is an error', () => {
  expect(() => createZone('Mars/Olympus')).toThrow(RangeError);
});

describe.each([
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'America/Sao_Paulo',
  'Africa/Casablanca',
  'Pacific/Apia',
  'Asia/Tehran',
])('in %s', (name) => {
  const zone = createZone(name);
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: name, dateStyle: 'short', timeStyle: 'medium' });
  const seconds = fc.integer({ min: Date.parse('1995-01-01') / 1_000, max: Date.parse('2037-01-01') / 1_000 });
  // Half of the moments lie near a turn of a month's last days, where zones switch.
  const near = fc
    .tuple(
      fc.integer({ min: 1995, max: 2036 }),
      fc.constantFrom(1, 2, 3, 8, 9, 10),
      fc.integer({ min: 0, max: 31 * 86_400 }),
    )
    .map(([year, month, offset]) => Date.UTC(year, month, 1) / 1_000 + offset);

  it('every instant reads back from its wall time, or is the second one of a repeated time', () => {
    fc.assert(
      fc.property(fc.oneof(seconds, near), (second) => {
        const wall = format.format(second * 1_000);
        const resolved = zone.resolve(wall);
        if (resolved === null) throw new Error(`unread: ${wall}`);
        expect(format.format(resolved.at / 1_000)).toBe(wall);
        if (resolved.at !== second * 1_000_000) {
          expect(resolved.at).toBeLessThan(second * 1_000_000);
          // Not told apart from the second occurrence: they compare as one.
          expect(resolved.order).toBeLessThanOrEqual(resolved.at);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('a wall time means the same however it is written', () => {
    const digits = fc.integer({ min: 0, max: 99 }).map((value) => String(value).padStart(2, '0'));
    const anything = fc.tuple(digits, digits, digits, digits, digits, digits, digits);
    fc.assert(
      fc.property(fc.oneof(anything, fc.oneof(seconds, near)), (source) => {
        const wall =
          typeof source === 'number'
            ? format.format(source * 1_000)
            : `${source[0]}${source[1]}-${source[2]}-${source[3]} ${source[4]}:${source[5]}:${source[6]}`;
        expect(zone.resolve(wall)).toEqual(zone.resolve(` ${wall.replace(' ', 'T')}`));
      }),
      { numRuns: 1_000 },
    );
  });

  it('the order never contradicts the time line, and is found again from the instant', () => {
    fc.assert(
      fc.property(fc.oneof(seconds, near), fc.integer({ min: 0, max: 10_000 }), (second, later) => {
        const [a, b] = [second, second + later].map((at) => zone.resolve(format.format(at * 1_000)));
        if (!a || !b) throw new Error('unread');
        expect(a.order).toBeLessThanOrEqual(b.order);
        expect(zone.orderOf(a.at)).toBe(a.order);
      }),
      { numRuns: 400 },
    );
  });
});
