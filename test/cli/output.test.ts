import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { formatCount, formatDuration, printError, printJson, printLine, printTable } from '../../src/cli/output.ts';

interface Row {
  readonly model: string;
  readonly rows: number | bigint;
  readonly note: string | null;
}

const COLUMNS = [
  { header: 'MODEL', value: (row: Row) => row.model },
  { header: 'ROWS', value: (row: Row) => row.rows },
  { header: 'NOTE', value: (row: Row) => row.note },
];

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
      'MODEL                    ROWS  NOTE',
      'crm.account           1234567  -',
      'task.tasks   9007199254740993  new',
      '',
    ]);
  });

  test('on a terminal groups digits and draws a frame', () => {
    const stream = capture(true);
    printTable([{ model: 'crm.account', rows: 1_234_567, note: '' }], COLUMNS, stream);
    expect(stream.text).toContain('│ crm.account │ 1,234,567 │ -    │');
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
  const script = `import('./src/cli/output.ts').then(({ printLine }) => {
    for (let n = 0; n < 50_000; n += 1) printLine('line ' + n);
  })`;
  const command = `"${process.execPath}" --import tsx -e "${script}" | head -n 1`;
  const { stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], { encoding: 'utf8' });
  expect({ stdout, stderr }).toEqual({ stdout: 'line 0\n', stderr: '' });
});

test.each([
  [850, '850ms'],
  [4_249, '4.2s'],
  [59_999, '1m 00s'],
  [185_000, '3m 05s'],
  [7_620_000, '2h 07m'],
  [442_800_000, '5d 03h'],
])('%i milliseconds read as %s', (millis, text) => {
  expect(formatDuration(millis)).toBe(text);
});

test('counts are grouped by thousands', () => {
  expect([formatCount(1_234_567), formatCount(12n)]).toEqual(['1,234,567', '12']);
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
