/**
 * The history against the portal's own log: changes go out as webhooks over HTTP, lost, repeated and out of order; what the
 * mirror accepted must stand in its history once, and each state of the past must be what the portal held then.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rebuildTable } from '../../src/maintain/rebuild.ts';
import { replay } from '../../src/maintain/replay.ts';
import { settleDue } from '../../src/merge/settle.ts';
import { sweepAll } from '../../src/reconcile/catch-up.ts';
import { SECRET, type Service, startService } from '../intake/service.ts';
import type { Change, SimRecord } from '../simulator/index.ts';
import { randomFrom } from '../simulator/random.ts';
import { type ColumnTypes, canonical, expectedColumn } from '../support/expected-columns.ts';
import { type Mirror, never, quietObserver, startMirror } from '../support/mirror.ts';
import { SEED } from '../support/seed.ts';

const ZONE = 'Europe/Berlin';
/** With versions, and without; with custom fields. */
const MODELS = ['crm.lead', 'crm.account', 'crm.loss_reason', 'task.tasks'] as const;
const CHANGES = 160;

let mirror: Mirror;
let service: Service;
let now_ms = Date.now() - 6 * 3_600_000;

beforeAll(async () => {
  const counts = {
    'crm.lead': 30,
    'crm.account': 30,
    'crm.loss_reason': 8,
    'task.tasks': 30,
    'customfields.fields': 6,
  };
  mirror = await startMirror({ rowsPerModel: counts, timeZone: ZONE, clock: () => new Date(now_ms), seed: SEED });
  service = await startService(mirror.database.url, { FLOWLU_TIMEZONE: ZONE });
  mirror.portal.webhooks.configure({ url: `${service.url}/webhooks/flowlu/${SECRET}`, mode: 'live' });
});
beforeEach(async () => {
  await mirror.sql`truncate sync.history, sync.deal_states, sync.deliveries`;
  await mirror.fill(...MODELS, 'customfields.fields');
});
afterAll(async () => {
  await service.close();
  await mirror.close();
});

/** Changes the portal, each time some seconds later; returns its log of that. */
async function change(count: number): Promise<readonly Change[]> {
  const { portal, webhooks } = mirror.portal;
  const random = randomFrom(SEED);
  const before = portal.changes.length;
  for (let done = 0; done < count; done += 1) {
    now_ms += 1_000 + Math.floor(random() * 20_000);
    portal.randomChange(random, MODELS);
    if (done % 8 === 7) await webhooks.drain();
  }
  await webhooks.drain();
  return portal.changes.slice(before);
}

interface Recorded {
  readonly number: string;
  readonly model: string;
  readonly id: string;
  readonly change: string;
  readonly path: string;
  readonly delivery: string | null;
  readonly action: string | null;
  readonly body: string | null;
}

const ACCEPTED = ['inserted', 'updated', 'tombstoned', 'revived'];

/** The history, each change with the delivery that brought it: of one record and moment the first with the first. */
async function recorded(): Promise<readonly Recorded[]> {
  const deliveries = await mirror.sql`
    select id as delivery, action, body, module || '.' || model as model, entity_id as id, received_at::text as moment
      from sync.deliveries where decision = any(${ACCEPTED}::text[]) order by deliveries.id`;
  const changes = await mirror.sql`
    select number, model, id, change, path, observed_at::text as moment from flowlu_history.changes order by number`;
  const keyOf = ({ model, id, moment }: Record<string, unknown>) => `${model} ${id} ${moment}`;
  const waiting = new Map<string, Record<string, unknown>[]>();
  for (const one of deliveries) waiting.set(keyOf(one), [...(waiting.get(keyOf(one)) ?? []), one]);
  return changes.map((one) => {
    const queue = one.path === 'webhook' ? waiting.get(keyOf(one)) : undefined;
    // A deletion that tells of a state unheard of has brought both.
    const isTold = queue?.[0]?.action === 'delete' && one.change !== 'deleted';
    const { delivery = null, action = null, body = null } = (isTold ? queue[0] : queue?.shift()) ?? {};
    return { ...one, delivery, action, body } as unknown as Recorded;
  });
}

const typesOf = async (model: string): Promise<ColumnTypes> => {
  const rows = await mirror.sql`
    select column_name as name, data_type as type from information_schema.columns
     where table_schema = 'flowlu_history' and table_name = ${model.replace('.', '_')}
       and column_name not like '\\_%' and column_name not in ('valid_from', 'valid_to')`;
  return new Map(rows.map(({ name, type }) => [name, type]));
};

const statesOf = (model: string) =>
  mirror.sql.unsafe(`select * from flowlu_history.${model.replace('.', '_')} order by id, _number nulls first`);

/** Columns, and custom fields, in which a state is not what the portal's record says. */
function untruths(model: string, types: ColumnTypes, state: Record<string, unknown>, record: SimRecord): string[] {
  const found = [...types]
    .map(
      ([name, type]) => [name, canonical(type, state[name]), expectedColumn(model, name, type, record, ZONE)] as const,
    )
    .filter(([, held, expected]) => held !== expected);
  const kept = state._record as Record<string, unknown>;
  const custom = Object.entries(record)
    .filter(
      ([name, value]) => name.startsWith('cf_') && name in kept && JSON.stringify(kept[name]) !== JSON.stringify(value),
    )
    .map(([name, value]) => [name, JSON.stringify(kept[name]), JSON.stringify(value)] as const);
  return [...found, ...custom].map(
    ([name, held, expected]) => `${model} ${state.id}.${name}: ${held}, not ${expected}`,
  );
}

/** States that the mirror owes to a webhook, held against the record that the portal had when it sent it. */
async function untrueStates(log: readonly Change[]): Promise<{ checked: number; untrue: readonly string[] }> {
  const byNumber = new Map((await recorded()).map((one) => [one.number, one]));
  const untrue: string[] = [];
  let checked = 0;
  for (const model of MODELS) {
    const types = await typesOf(model);
    for (const state of await statesOf(model)) {
      const change = byNumber.get(state._number);
      if (change?.body == null || change.action === 'delete') continue;
      const ofRecord = log.filter((one) => one.name === model && one.id === String(state.id) && one.current !== null);
      const sent = ofRecord.find((one) => mirror.portal.webhooks.body(one) === change.body);
      // Of changes of one version the mirror may go to the last at once, when it hears of an earlier one; so it may of all
      // those that arrive together, where the model has no version.
      const possible = ofRecord.filter(
        ({ current }) => mirror.model(model).version === null || current?.updated_date === sent?.current?.updated_date,
      );
      const found = possible.map(({ current }) => untruths(model, types, state, current as SimRecord));
      if (found.length === 0) untrue.push(`${model} ${state.id}: no change of the portal tells ${change.body}`);
      if (!found.some(({ length }) => length === 0)) untrue.push(...found.flat());
      checked += 1;
    }
  }
  return { checked, untrue };
}

/** Where intervals of one record overlap or run backwards, or leave a gap that is no deletion. */
async function brokenIntervals(): Promise<readonly string[]> {
  const broken: string[] = [];
  for (const model of MODELS) {
    const rows = await mirror.sql.unsafe(`
      select id, valid_from::text, next::text from (
        select s.*, lead(valid_from) over v as next, lead(_change) over v as change_after, row_number() over v as place
          from flowlu_history.${model.replace('.', '_')} s window v as (partition by id order by _number nulls first)) s
       where valid_to < valid_from or (next is null) <> (place = (select count(*) from flowlu_history.${model.replace('.', '_')} o where o.id = s.id))
          or (next is not null and valid_to is null) or next < valid_to or (next > valid_to and change_after <> 'revived')`);
    broken.push(...rows.map(({ id, valid_from, next }) => `${model} ${id} from ${valid_from}, next ${next}`));
  }
  return broken;
}

/** Records of the portal whose last state is another one, and records that the portal lacks but whose state lasts. */
async function wrongPresent(): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const model of MODELS) {
    const types = await typesOf(model);
    const lasting = new Map(
      (await statesOf(model)).filter((row) => row.valid_to === null).map((row) => [String(row.id), row]),
    );
    for (const record of mirror.portal.portal.rows(model)) {
      const state = lasting.get(String(record.id));
      lasting.delete(String(record.id));
      wrong.push(
        ...(state === undefined ? [`${model} ${record.id} has no state`] : untruths(model, types, state, record)),
      );
    }
    wrong.push(...[...lasting.keys()].map((id) => `${model} ${id} still lasts`));
  }
  return wrong;
}

const KIND_OF = { create: 'created', update: 'updated', delete: 'deleted' } as const;
const entity = ({ model, id }: { readonly model: string; readonly id: string }) => `${model} ${id}`;

function byEntity<T>(rows: readonly T[], key: (row: T) => string, value: (row: T) => string): Record<string, string[]> {
  const grouped: Record<string, string[]> = {};
  for (const row of rows) {
    grouped[key(row)] ??= [];
    grouped[key(row)]?.push(value(row));
  }
  return grouped;
}

describe(`the history (seed ${SEED})`, () => {
  it('is the portal’s own log where nothing is lost, though deliveries are repeated', async () => {
    mirror.portal.webhooks.configure({ dropRate: 0, duplicateRate: 0.3, concurrency: 1 });
    const log = await change(CHANGES);
    const real = log.filter(({ current, previous }) => JSON.stringify(current) !== JSON.stringify(previous));
    expect(byEntity(await recorded(), entity, (one) => one.change)).toEqual(
      byEntity(
        real,
        (one) => `${one.name} ${one.id}`,
        (one) => KIND_OF[one.action],
      ),
    );
    const { checked, untrue } = await untrueStates(log);
    expect(untrue).toEqual([]);
    expect(checked).toBe(real.filter(({ action }) => action !== 'delete').length);
    expect(await brokenIntervals()).toEqual([]);
    expect(await wrongPresent()).toEqual([]);
  });

  it('has every accepted change once, and true states, where deliveries are lost, repeated and out of order', async () => {
    mirror.portal.webhooks.configure({
      dropRate: 0.2,
      duplicateRate: 0.3,
      concurrency: 6,
      disorder: { maxDelayMs: 5, window: 6 },
    });
    const log = await change(CHANGES);
    const deps = { sql: mirror.sql, client: mirror.client, writer: mirror.context };
    const options = {
      models: MODELS.map(mirror.model),
      concurrency: 2,
      holder: 'test',
      observer: quietObserver,
      signal: never,
    };
    const tableOf = (name: string) => ({ name, model: mirror.model(name) });
    await settleDue({ ...deps, tableOf }, 1_000, never);
    await sweepAll(deps, { ...options, allowDeletes: 1_000 });
    await settleDue({ ...deps, tableOf }, 1_000, never);

    const changes = await recorded();
    const accepted = await mirror.sql`
      select id, module || '.' || model as model, entity_id from sync.deliveries
       where decision = any(${ACCEPTED}::text[]) order by deliveries.id`;
    const brought = changes.flatMap(({ delivery }) => (delivery === null ? [] : [delivery]));
    // A deletion may tell of one more state; it is one delivery all the same.
    expect([...new Set(brought)].sort()).toEqual(accepted.map(({ id }) => String(id)).sort());
    expect(changes.filter(({ path, delivery }) => path === 'webhook' && delivery === null)).toEqual([]);
    expect(changes.some(({ path }) => path === 'list')).toBe(true);

    const { checked, untrue } = await untrueStates(log);
    expect(untrue).toEqual([]);
    expect(checked).toBeGreaterThan(CHANGES / 4);
    expect(await brokenIntervals()).toEqual([]);
    expect(await wrongPresent()).toEqual([]);

    const [before] = await mirror.sql`select max(number)::text as last from sync.history`;
    await sweepAll(deps, { ...options, allowDeletes: 0 });
    await replay({ sql: mirror.sql, context: mirror.context, log: mirror.log, holder: 'test' }, {}, () => {}, never);
    await settleDue({ ...deps, tableOf }, 1_000, never);
    for (const model of MODELS) {
      for await (const _ of rebuildTable(mirror.sql, tableOf(model), mirror.context, never));
    }
    expect(await mirror.sql`select max(number)::text as last from sync.history`).toEqual([before]);
  });
});
