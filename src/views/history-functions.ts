/** The functions that the views of the past read with, and how a value of a past state is read. */

import { createHash } from 'node:crypto';
import type { FieldKind } from '../catalog/types.ts';
import type { Transaction } from '../postgres/connection.ts';
import { readSettings, writeSetting } from '../store/settings.ts';
import { FUNCTION_SCHEMA, type SqlFunction, typedValue, VALUE_FUNCTIONS } from './values.ts';

/** SQL for a field's value in a past state: what the overlay holds of it, else what the row holds now. */
export function pastValue(kind: FieldKind, name: string, past: string, current: string): string {
  return `case when ${past} ? ${name} then ${typedValue(kind, `(${past} -> ${name})`)} else ${current} end`;
}

/**
 * The whole record of a past state: the row's, under the names that the history uses, with what the overlay holds of it.
 * A field that was not there reads null. `aliases` lead from second names of custom fields to the first.
 */
const PAST_RECORD: SqlFunction = {
  name: 'past_record',
  parameters: 'record jsonb, past jsonb, aliases jsonb',
  returns: 'jsonb',
  body: `case when past = '{}' then record else (
      select coalesce(jsonb_object_agg(f.key, f.value) filter (
               where not past ? f.key and not past ? lower(f.key) and not past ? coalesce(aliases ->> f.key, '')
             ), '{}')
        from jsonb_each(record) f) || past end`,
};

function definitionOf({ name, parameters, returns, body }: SqlFunction): string {
  return `create or replace function ${FUNCTION_SCHEMA}.${name}(${parameters}) returns ${returns} language sql stable parallel safe return ${body}`;
}

/** The order in which `before` patches are laid over each other is that of the window: the last one wins. */
const OVERLAY = `create aggregate ${FUNCTION_SCHEMA}.laid_over(jsonb) (sfunc = pg_catalog.jsonb_concat, stype = jsonb, initcond = '{}')`;

/** Makes the functions where they are missing or have changed; `keeper` works out the states of deals. */
export async function createHistoryFunctions(tx: Transaction, keeper: string): Promise<void> {
  const statements = [...VALUE_FUNCTIONS, PAST_RECORD].map(definitionOf);
  const hash = createHash('sha256')
    .update([...statements, keeper].join())
    .digest('hex')
    .slice(0, 32);
  if ((await readSettings(tx, 'history functions'))['history functions'] === hash) return;
  const [found] = await tx`select to_regprocedure('flowlu_history.laid_over(jsonb)') is not null as aggregate`;
  await tx.unsafe(
    [
      `create schema if not exists ${FUNCTION_SCHEMA}`,
      ...statements,
      ...(found?.aggregate === true ? [] : [OVERLAY]),
      keeper,
    ].join(';\n'),
  );
  await writeSetting(tx, 'history functions', hash);
}
