/** A trial with the simulated portal must not begin with a notice of values that do not fit. */
import { expect, test } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { type JsonObject, parseJson } from '../../src/core/json.ts';
import { coerceRecord } from '../../src/record/coerce.ts';
import { createZone } from '../../src/record/zone.ts';
import { toJson } from '../simulator/index.ts';
import { start } from '../simulator/testing.ts';

test('what the simulated portal begins with fits its columns', async () => {
  const { portal } = await start({ rows: 20_000 });
  const zone = createZone('Europe/Berlin');
  const misfits = models.flatMap((model) =>
    [...portal.rows(model.name)].flatMap((row) =>
      coerceRecord(model, parseJson(toJson(row)) as JsonObject, zone).invalid.map((field) => `${model.name}.${field}`),
    ),
  );
  expect([...new Set(misfits)]).toEqual([]);
});
