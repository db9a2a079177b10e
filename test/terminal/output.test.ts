import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { count, span } from '../../src/status/words.ts';
import { printFindings } from '../../src/terminal/findings.ts';
import { type Column, pinLine, printError, printJson, printLine, printTable, spin } from '../../src/terminal/output.ts';
import { Screen } from './screen.ts';

interface Row {
  readonly model: string;
  readonly rows: number | bigint;
  readonly note: string | null;
}

const COLUMNS: readonly Column<Row>[] = ['model', 'rows', ['last note', (row) => row.note]];

function capture(isTTY: boolean) {
  const stream = {
    isTTY,
    text: '',
    on: () => undefined as never,
    write(text: string) {
      stream.text += text;
    },
  };
  return stream;
}

describe('a table', () => {
  test('in a pipe is aligned columns with plain numbers and no frame', () => {
    const stream = capture(false);
    printTable(
      [
        { model: 'crm.account', rows: 1_234_567, note: null },
        { model: 'task.tasks', rows: 9_007_199_254_740_993n, note: 'new' },
      ],
      COLUMNS,
      stream,
    );
    expect(stream.text.split('\n')).toEqual([
      'model                    rows  last note',
      'crm.account           1234567  -',
      'task.tasks   9007199254740993  new',
      '',
    ]);
  });

  test('on a terminal groups digits, and no line is wider than the screen', () => {
    const screen = new Screen(40);
    printTable([{ model: 'crm.account', rows: 1_234_567, note: 'so long that it does not fit' }], COLUMNS, screen);
    expect(screen.lines().map((line) => line.replace(/\p{Cc}\[\d+m/gu, ''))).toEqual([
      'model             rows  last note',
      'crm.account  1,234,567  so long that it…',
      '',
    ]);
  });

  test.each([undefined, 0])('on a terminal that tells %s as its width is not cut', (columns) => {
    const stream = { ...capture(true), columns };
    let text = '';
    stream.write = (part) => {
      text += part;
    };
    printTable([{ model: 'crm.account', rows: 1, note: 'long '.repeat(40) }], COLUMNS, stream as never);
    expect(text).not.toContain('…');
  });

  test('lets no value of the portal control the terminal or break a line', () => {
    const stream = capture(false);
    printTable([{ model: 'a\u001b[2J\nb', rows: 1, note: null }], COLUMNS, stream);
    expect(stream.text).not.toContain('\u001b');
    expect(stream.text.trimEnd().split('\n')).toHaveLength(2);
  });
});

test('JSON output keeps all digits of a bigint', () => {
  const stream = capture(false);
  printJson({ id: 9_007_199_254_740_993n, name: 'x' }, stream);
  expect(stream.text).toBe('{"id":"9007199254740993","name":"x"}\n');
});

test('a reader that stops reading early is not an error', () => {
  const script = `import('./src/terminal/output.ts').then(({ printLine }) => {
    for (let n = 0; n < 50_000; n += 1) printLine('line ' + n);
  })`;
  const command = `"${process.execPath}" --import tsx -e "${script}" | head -n 1`;
  const { stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], { encoding: 'utf8' });
  expect({ stdout, stderr }).toEqual({ stdout: 'line 0\n', stderr: '' });
});

test.each([
  [0.4, '0 s'],
  [99, '99 s'],
  [185, '3 min'],
  [7_620, '2 h'],
  [442_800, '5 d'],
])('%d seconds read as %s', (seconds, text) => {
  expect(span(seconds)).toBe(text);
});

test('counts are grouped by thousands', () => {
  expect([count(1_234_567), count(12n), count(1, 'row'), count(2, 'row')]).toEqual([
    '1,234,567',
    '12',
    '1 row',
    '2 rows',
  ]);
});

describe('a pinned line', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('stays below what is printed, and goes without a trace', () => {
    const screen = new Screen(40);
    const end = pinLine((frame) => `frame ${frame}`, screen);
    vi.advanceTimersByTime(200);
    printLine('printed', screen);
    vi.advanceTimersByTime(100);
    expect(screen.lines()).toEqual(['printed', 'frame 3']);
    end();
    vi.advanceTimersByTime(1_000);
    expect(screen.lines()).toEqual(['printed', '']);
  });

  test('turns only for what takes more than a second, and only on a terminal', () => {
    const screen = new Screen(40);
    const end = spin('status', screen);
    vi.advanceTimersByTime(1_000);
    expect(screen.lines()).toEqual(['']);
    vi.advanceTimersByTime(200);
    expect(screen.lines()[0]).toMatch(/^\S status$/);
    end();
    const stream = capture(false);
    spin('status', stream);
    vi.advanceTimersByTime(5_000);
    expect(stream.text).toBe('');
  });
});

describe('a text from outside', () => {
  const SENT = 'a\u001b]0;title\u0007 \u202egpj.exe\u2066 \u{e0041}b';

  test('shows the characters that would act instead, on a terminal and elsewhere', () => {
    for (const isTTY of [true, false]) {
      const stream = capture(isTTY);
      printLine(SENT, stream);
      printError(SENT, stream);
      printJson({ text: SENT }, stream);
      const colourless = stream.text.split('\u001b[31m').join('').split('\u001b[39m').join('');
      expect(colourless).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
      expect(stream.text).toContain('\\u202egpj.exe');
      const json = stream.text.split('\n').find((line) => line.startsWith('{')) ?? '';
      expect(JSON.parse(json)).toEqual({ text: SENT });
    }
  });
});

test('a finding of just now tells no length of time', () => {
  const now = '2026-03-01T12:00:00.400Z';
  const told = (since: string) => {
    const stream = capture(false);
    const finding = { code: 'locked', severity: 'bad', sentence: 'It is locked', remedy: null, command: null } as const;
    const words = { state: 'bad', headline: '', sentence: '' } as const;
    printFindings({ ...words, findings: [{ ...finding, since }] } as never, now, stream);
    return stream.text;
  };
  expect(told('2026-03-01T12:00:00.000Z')).toBe('✖ It is locked\n');
  expect(told('2026-03-01T11:00:00.400Z')).toBe('✖ It is locked (for 60 min)\n');
});
