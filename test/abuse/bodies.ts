/** Webhook bodies as nobody should write them: text of JSON, mostly, since some of it no value of JavaScript could say. */
import fc from 'fast-check';
import { models } from '../../src/catalog/index.ts';

/** Words that mean something to somebody on the way: to SQL, to JavaScript, to dates, to logs, to terminals. */
const HOSTILE = [
  ...[
    "'; drop table flowlu.crm_account; --",
    '"; delete from sync.deliveries; --',
    '$1',
    '%s%n',
    '\\',
    "\\'",
    '{}',
    '{1,2}',
  ],
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'then',
    'toJSON',
    'length',
    '_record',
    '_version',
  ],
  ...[
    'NaN',
    'Infinity',
    '-Infinity',
    'infinity',
    'epoch',
    'now',
    'today',
    'null',
    'true',
    '1e999',
    '0x10',
    '1_000',
    '１２３',
    '-0',
  ],
  ...[
    '0000-00-00',
    '0000-00-00 00:00:00',
    '2026-02-30',
    '2026-02-30 25:61:61',
    '9999-12-31 23:59:59',
    '10000-01-01',
    '-0001-01-01',
  ],
  ...[
    '294277-01-01 00:00:00',
    '2026-03-29 02:30:00',
    '2026-10-25 02:30:00',
    '2026-06-01T12:00:00Z',
    '2026-06-01 12:00:00+99',
  ],
  ...[
    'a\nb',
    '{"level":"fatal"}\n',
    '\r\nSet-Cookie: a=b',
    '\u001b[31mred',
    '\u0000',
    '\ud800',
    '\udfff\ud800',
    '\ufeff',
    '\u2028',
  ],
  ...[
    '<script>alert(1)</script>',
    '../../etc/passwd',
    'x'.repeat(5_000),
    '9223372036854775807',
    '9223372036854775808',
    ' 7 ',
  ],
];

const NUMBERS = [
  ...['0', '-0', '1', '1.5', '-1', '1e400', '-1e400', '1e-400', '1e1000001', '0.1', '1E5', '12345678901234567890'],
  ...['9007199254740993', '9223372036854775807', '9223372036854775808', '-9223372036854775809', `1${'0'.repeat(200)}`],
  ...[
    '3.141592653589793238462643383279',
    '99999999999999999999.99',
    '253402300800',
    '-62135596801',
    '4294967296',
    '1700000000',
  ],
];

const text = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ maxLength: 10 }),
);
/** As JSON writes it, with half surrogates as they are or as escapes. */
const quoted = text.map((value) => JSON.stringify(value));

const { value } = fc.letrec<{ value: string; list: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    { weight: 4, arbitrary: quoted },
    { weight: 4, arbitrary: fc.constantFrom(...NUMBERS, 'true', 'false', 'null', '""', '[]', '{}') },
    { weight: 1, arbitrary: tie('list') },
    { weight: 1, arbitrary: tie('object') },
  ),
  list: fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
  object: fc
    .array(fc.tuple(quoted, tie('value')), { maxLength: 4 })
    .map((pairs) => `{${pairs.map(([key, item]) => `${key}:${item}`).join(',')}}`),
}));

const id = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 40 }).map(String) },
  { weight: 1, arbitrary: value },
);

/** A record of a model: its own fields and others, each with anything at all. */
const recordOf = (fields: readonly string[]) =>
  fc
    .tuple(
      id,
      fc.array(
        fc.tuple(
          fc.oneof(
            fc.constantFrom(...fields).map((name) => JSON.stringify(name)),
            quoted,
          ),
          value,
        ),
        { maxLength: 8 },
      ),
    )
    .map(([own, pairs]) => `{"id":${own}${pairs.map(([key, item]) => `,${key}:${item}`).join('')}}`);

/** A webhook as it should be, but for what stands in it; made once for each model, since that takes long. */
const announced = fc.oneof(
  ...models.map(({ name, fields }) => {
    const [module, entity] = name.split('.');
    const state = fc.oneof({ weight: 4, arbitrary: recordOf(Object.keys(fields)) }, { weight: 1, arbitrary: value });
    const action = fc.constantFrom('create', 'update', 'delete', 'UPDATE', 'archive');
    return fc
      .tuple(action, state, state)
      .map(
        ([what, current, previous]) =>
          `{"meta":{"module":"${module}","model":"${entity}","action":"${what}"},"current":${current},"previous":${previous}}`,
      );
  }),
);

/** A webhook whose head is wrong somewhere. */
const misheaded = fc
  .tuple(value, value, value, value, value)
  .map(
    ([module, entity, action, current, previous]) =>
      `{"meta":{"module":${module},"model":${entity},"action":${action}},"current":${current},"previous":${previous}}`,
  );

const unknown = fc
  .tuple(
    fc.constantFrom('warehouse', 'Pg_Catalog', 'sync', 'flowlu_live', 'constructor', 'x'.repeat(64)),
    fc.constantFrom('deliveries', 'prototype', '__proto__', 'pallets', 'x'.repeat(64)),
    value,
  )
  .map(
    ([module, entity, current]) =>
      `{"meta":{"module":"${module}","model":"${entity}","action":"update"},"current":{"id":3,"a":${current}}}`,
  );

const deep = fc
  .tuple(fc.integer({ min: 1, max: 3_000 }), fc.constantFrom('[', '{"a":'))
  .map(
    ([depth, opening]) =>
      `{"meta":{"module":"crm","model":"account","action":"update"},"current":{"id":9,"d":${opening.repeat(depth)}1${(opening === '[' ? ']' : '}').repeat(depth)}}}`,
  );

const whole = fc.oneof(
  { weight: 6, arbitrary: announced },
  { weight: 2, arbitrary: misheaded },
  { weight: 1, arbitrary: unknown },
  { weight: 1, arbitrary: value },
  { weight: 1, arbitrary: deep },
);

/** Bytes that something has happened to. */
const damaged = fc
  .tuple(
    whole,
    fc.nat(),
    fc.nat(),
    fc.uint8Array({ maxLength: 8 }),
    fc.constantFrom('cut', 'overwrite', 'insert', 'repeat', 'bom'),
  )
  .map(([body, at, length, junk, how]) => {
    const bytes = Buffer.from(body);
    const place = bytes.length === 0 ? 0 : at % bytes.length;
    const end = Math.min(bytes.length, place + (length % 16));
    switch (how) {
      case 'cut':
        return bytes.subarray(0, place);
      case 'overwrite':
        return Buffer.concat([
          bytes.subarray(0, place),
          junk,
          bytes.subarray(Math.min(bytes.length, place + junk.length)),
        ]);
      case 'insert':
        return Buffer.concat([bytes.subarray(0, place), junk, bytes.subarray(place)]);
      case 'repeat':
        return Buffer.concat([bytes.subarray(0, end), bytes.subarray(place)]);
      default:
        return Buffer.concat([Buffer.from('\ufeff'), bytes]);
    }
  });

export const anyBody: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 7, arbitrary: whole.map((body) => Buffer.from(body)) },
  { weight: 2, arbitrary: damaged },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
);
