/** Custom fields of a simulated portal, as the live views show them while definitions come, change and go. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../src/migrate/migrate.ts';
import { refreshViews } from '../../src/migrate/refresh.ts';
import { noteHistorySettings } from '../../src/store/settings.ts';
import { readLiveFacts } from '../../src/views/live-facts.ts';
import type { SimRecord, Value } from '../simulator/index.ts';
import { canonical, expectedColumn } from '../support/expected-columns.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';

const ZONE = 'Europe/Berlin';
const ROWS = {
  'crm.lead': 80,
  'st.projects': 10,
  'core.user': 12,
  'customfields.fields': 44,
  'customfields.fieldsets': 4,
  'customfields.fieldoptions': 40,
};

let mirror: Mirror;
beforeAll(async () => {
  // No two changes in one second: what order they had would be another question.
  let now = Date.now() - 3_600_000;
  const clock = () => {
    now += 1_000;
    return new Date(now);
  };
  mirror = await startMirror({ timeZone: ZONE, rowsPerModel: ROWS, clock });
  await mirror.fill(...Object.keys(ROWS));
  await noteHistorySettings(mirror.sql, { timezone: ZONE, keeps: true });
  await refresh();
}, 60_000);
afterAll(() => mirror?.close());

const refresh = () => refreshViews(mirror.sql, { zone: ZONE });
const source = () => mirror.portal.portal;

/** Lets the portal change, tells the mirror, and brings the views to it. */
async function change(...steps: readonly (() => ReturnType<Mirror['portal']['portal']['create']>)[]): Promise<void> {
  for (const step of steps) await mirror.deliver(step());
  await refresh();
}
const update = (model: string, id: Value, record: Record<string, Value>) => () =>
  source().update(model, id as number, record);
const remove = (model: string, id: Value) => () => source().remove(model, id as number);

/** A new custom field of deals; the other switches and links of a made-up definition would decide at random. */
const define = (record: Record<string, Value>) => {
  const plain = { module: 'crm', model: 'lead', alias: '', api_use_alias: 0, webhook_use_alias: 0, fieldset_id: 0 };
  return source().create('customfields.fields', { ...plain, type: 'smalltext', ...record });
};

async function columnsOf(view: string): Promise<Map<string, { type: string; comment: string }>> {
  const rows = await mirror.sql<{ name: string; type: string; comment: string }[]>`
    select attname as name, format_type(atttypid, atttypmod) as type, col_description(attrelid, attnum) as comment
      from pg_attribute where attrelid = ${`flowlu_live.${view}`}::regclass and attnum > 0 and not attisdropped
     order by attnum`;
  return new Map(rows.map(({ name, ...row }) => [name, row]));
}
const namesOf = async (view = 'crm_lead') => [...(await columnsOf(view)).keys()];
const shown = async (column: string, id: Value, view = 'crm_lead') => {
  const [row] = await mirror.sql.unsafe(`select "${column}" as value from flowlu_live.${view} where id = $1`, [
    String(id),
  ]);
  return row?.value as unknown;
};

const TYPES: Readonly<Record<string, string>> = {
  smalltext: 'text',
  text: 'text',
  boolean: 'boolean',
  date: 'date',
  datetime: 'timestamp with time zone',
  price: 'numeric',
  decimal: 'numeric',
  int: 'bigint',
  'select.single': 'text',
  'select.multiple': 'text[]',
  'model.user': 'bigint',
};

describe('custom fields in the live views', () => {
  it('have the type that is declared, and say in a comment what they are', async () => {
    for (const [owner, view] of [
      ['crm.lead', 'crm_lead'],
      ['st.projects', 'st_projects'],
    ] as const) {
      const columns = await columnsOf(view);
      const definitions = [...source().rows('customfields.fields')].filter(
        ({ module, model }) => `${String(module)}.${String(model)}` === owner,
      );
      expect(definitions.length).toBe(11);
      for (const { id, alias, type, name } of definitions) {
        const column = columns.get(`cf_${String(alias)}`);
        expect(column?.type, String(type)).toBe(TYPES[String(type)]);
        expect(column?.comment).toContain(`${String(name)}`);
        expect(column?.comment).toContain(`custom field ${String(id)}, ${String(type)}`);
      }
    }
    expect((await columnsOf('crm_lead')).get('cf_model_user_30')?.comment).toContain('→ flowlu_live.core_user.id');
  });

  it('show every value that the portal has', async () => {
    const dictionary = (model: string, word: string) =>
      new Map([...source().rows(model)].map((record) => [String(record.id), record[word]]));
    const options = dictionary('customfields.fieldoptions', 'value');
    const users = dictionary('core.user', 'name');
    const definitions = [...source().rows('customfields.fields')].filter(({ model }) => model === 'lead');
    const wordsOf = (type: Value | undefined, raw: string) => {
      if (type === 'select.single') return options.get(raw) ?? null;
      if (type === 'select.multiple') return raw === '' ? null : raw.split(',').map((one) => options.get(one));
      return users.has(raw) ? raw : null;
    };
    /** What a record's value should look like, by column. */
    const expected = ({ id, type, alias }: SimRecord, record: SimRecord): Record<string, unknown> => {
      const name = `cf_${String(alias)}`;
      const key = `cf_${String(id)}`;
      const raw = String(record[key]);
      const isPlain = !/^(select|model)\./.test(String(type));
      return {
        [name]: isPlain
          ? expectedColumn('crm.lead', key, TYPES[String(type)] as string, record, ZONE) || null
          : wordsOf(type, raw),
        ...(String(type).startsWith('select.') && { [`${name}_raw`]: raw || null }),
        ...(type === 'model.user' && { [`${name}_label`]: users.get(raw) ?? null }),
      };
    };
    const rows = new Map((await mirror.sql`select * from flowlu_live.crm_lead`).map((row) => [String(row.id), row]));
    let filled = 0;
    for (const record of source().rows('crm.lead')) {
      const row = rows.get(String(record.id)) as Record<string, unknown>;
      for (const definition of definitions) {
        const wanted = expected(definition, record);
        const type = TYPES[String(definition.type)] as string;
        const held = Object.keys(wanted).map((name) => {
          const value = row[name];
          return [name, typeof value === 'object' && Array.isArray(value) ? value : canonical(type, value)];
        });
        expect(Object.fromEntries(held), String(definition.type)).toEqual(wanted);
        if (Object.values(wanted)[0] !== null) filled += 1;
      }
    }
    expect(filled).toBeGreaterThan(80 * 11 * 0.5);
  });

  it('are read once the definitions are, under whichever spelling a record has', async () => {
    const { id } = define({ id: 901, name: 'Territory', alias: 'territory', webhook_use_alias: 1 })
      .current as SimRecord;
    await mirror.fill('customfields.fields');
    await change(update('crm.lead', 1, { [`cf_${String(id)}`]: 'by webhook' }));
    const [row] =
      await mirror.sql`select _record ? 'cf_territory' as alias, _record ? 'cf_901' as number from flowlu.crm_lead where id = 1`;
    expect(row).toEqual({ alias: true, number: false });
    expect(await shown('cf_territory', 1)).toBe('by webhook');
    source().update('crm.lead', 2, { cf_901: 'by list' });
    await mirror.fill('crm.lead');
    expect(await shown('cf_territory', 2)).toBe('by list');
    expect((await namesOf()).filter((name) => name.includes('territory'))).toEqual(['cf_territory']);
  });

  it('follow the wording of options and the names of people', async () => {
    const [single, user] = ['cf_select_single_2', 'cf_model_user_30'];
    const [row] = await mirror.sql.unsafe(
      `select id, ${single}_raw as option, ${user} as person from flowlu_live.crm_lead where ${single} is not null and ${user} is not null limit 1`,
    );
    await change(
      update('customfields.fieldoptions', row?.option, { value: 'Reworded' }),
      update('core.user', row?.person, { name: 'New Name' }),
    );
    expect(await shown(single, row?.id)).toBe('Reworded');
    expect(await shown(`${user}_label`, row?.id)).toBe('New Name');
    await change(remove('customfields.fieldoptions', row?.option), remove('core.user', row?.person));
    expect(await shown(single, row?.id)).toBe('Reworded');
    expect(await shown(`${user}_label`, row?.id)).toBe('New Name');
  });

  it('that take several choices have them as one text as well, the same for the same choices', async () => {
    const words = (...ids: number[]) => ids.map((id) => String(source().get('customfields.fieldoptions', id)?.value));
    const options = [...source().rows('customfields.fieldoptions')].filter(({ field_id }) => field_id === 26);
    const [a, b] = options.map(({ id }) => Number(id)) as [number, number];
    await change(
      update('crm.lead', 5, { cf_26: `${b},${a},${b}` }),
      update('crm.lead', 6, { cf_26: `${a},${b}` }),
      update('crm.lead', 7, { cf_26: '' }),
    );
    const sorted = words(a, b).toSorted().join(', ');
    expect(await shown('cf_select_multiple_26', 5)).toEqual(words(b, a, b));
    for (const [id, text] of [
      [5, sorted],
      [6, sorted],
      [7, null],
    ] as const) {
      expect(await shown('cf_select_multiple_26_text', id)).toBe(text);
    }
    const [entry] = await mirror.sql`
      select data_type, meaning from flowlu_live.data_dictionary
       where table_name = 'crm_lead' and column_name = 'cf_select_multiple_26_text'`;
    expect(entry).toEqual({ data_type: 'text', meaning: expect.stringContaining('as one text') });

    const column = 'cf_select_multiple_26_text';
    await mirror.sql.unsafe(`create view public.mine as select ${column} from flowlu_live.crm_lead where id = 5`);
    await change(update('customfields.fields', 26, { alias: 'tastes' }));
    await mirror.sql`update sync.custom_columns set former_since = now() - interval '31 days' where former_since is not null`;
    await refresh();
    expect((await mirror.sql.unsafe(`select ${column} as value from public.mine`))[0]?.value).toBe(sorted);
    await mirror.sql`drop view public.mine`;
    await change(update('customfields.fields', 26, { alias: 'select_multiple_26' }));
  });

  it('are null where the value does not fit, and no query fails of it', async () => {
    await change(
      update('crm.lead', 3, { cf_14: 'tomorrow', cf_18: '12,50 EUR', cf_22: '1e9', cf_26: 'x', cf_30: 'Ann' }),
    );
    const [row] = await mirror.sql`
      select cf_date_14, cf_price_18, cf_int_22, cf_select_multiple_26, cf_model_user_30 from flowlu_live.crm_lead where id = 3`;
    expect(row).toMatchObject({
      cf_price_18: null,
      cf_int_22: null,
      cf_select_multiple_26: ['x'],
      cf_model_user_30: null,
    });
  });

  it('are looked up only as far as a query asks for them, and the record is then unpacked once', async () => {
    const planOf = async (query: string) =>
      (await mirror.sql.unsafe(`explain (verbose, costs off) ${query}`)).map((row) => row['QUERY PLAN']).join('\n');
    const none = await planOf('select id, name from flowlu_live.crm_lead');
    expect(none).not.toMatch(/cf_|_record \|\|/);
    const one = await planOf('select id, cf_decimal_39 from flowlu_live.crm_lead where cf_price_18 > 100');
    expect(one.match(/'cf_\d+'/g)?.toSorted()).toEqual(["'cf_18'", "'cf_39'"]);
    expect(one).not.toContain('customfields_fieldoptions');
    expect(one.match(/_record \|\|/g)?.length).toBe(1);
  });
});

describe('while the portal changes', () => {
  it('a new field is a new column at the end, and what stands on the view does not notice', async () => {
    await mirror.sql`create view public.mine as select * from flowlu_live.crm_lead`;
    const before = await namesOf();
    const made = define({ id: 910, name: 'Contract value', type: 'price' });
    await mirror.deliver(made);
    await change(update('crm.lead', 1, { cf_910: '1250.50' }));
    expect(await namesOf()).toEqual([...before, 'cf_contract_value']);
    expect(await shown('cf_contract_value', 1)).toBe('1250.50');
    await mirror.sql`drop view public.mine`;
  });

  it('a new title gives a new name, and the former one goes on working', async () => {
    await change(update('customfields.fields', 910, { name: 'Order value' }));
    expect(await shown('cf_order_value', 1)).toBe('1250.50');
    expect(await shown('cf_contract_value', 1)).toBe('1250.50');
    const comments = await columnsOf('crm_lead');
    expect(comments.get('cf_contract_value')?.comment).toMatch(/^Former name of cf_order_value, shown until \d{4}-/);
    expect(comments.get('cf_order_value')?.comment).toContain('Order value');
  });

  it('a former name goes after its time, unless something depends on the view', async () => {
    await mirror.sql`update sync.custom_columns set former_since = now() - interval '31 days' where former_since is not null`;
    await mirror.sql`create view public.mine as select cf_contract_value from flowlu_live.crm_lead where id = 1`;
    await refresh();
    expect(await namesOf()).toContain('cf_contract_value');
    expect((await mirror.sql`select * from public.mine`)[0]).toEqual({ cf_contract_value: '1250.50' });
    await mirror.sql`drop view public.mine`;
    await mirror.sql`update sync.settings set value = value || '{"retry_at":"2020-01-01"}' where key = 'live_facts'`;
    expect(await refresh()).toBe(true);
    expect(await namesOf()).not.toContain('cf_contract_value');
    expect(await namesOf()).toContain('cf_order_value');
    expect(await refresh()).toBe(false);
  });

  it('another declared type makes the column anew, with its grants and its comment', async () => {
    await mirror.sql`grant select on flowlu_live.crm_lead to public`;
    await change(update('customfields.fields', 910, { type: 'int' }), update('crm.lead', 1, { cf_910: '77' }));
    expect((await columnsOf('crm_lead')).get('cf_order_value')).toMatchObject({
      type: 'bigint',
      comment: expect.stringContaining('custom field 910, int'),
    });
    expect(await shown('cf_order_value', 1)).toBe('77');
    const [row] =
      await mirror.sql`select relacl::text as acl from pg_class where oid = 'flowlu_live.crm_lead'::regclass`;
    expect(row?.acl).toMatch(/[{,]=r\//);
    expect(row?.acl).toMatch(/[{,]flowlu_reader_\w+=r\//);
  });

  it('another declared type leaves the column its old one while something depends on the view', async () => {
    await mirror.sql`create view public.mine as select cf_order_value from flowlu_live.crm_lead where id = 1`;
    await change(update('customfields.fields', 910, { type: 'smalltext' }), update('crm.lead', 1, { cf_910: '78' }));
    expect((await mirror.sql`select * from public.mine`)[0]).toEqual({ cf_order_value: '78' });
    expect((await columnsOf('crm_lead')).get('cf_order_value')?.type).toBe('bigint');
    const { keptViews } = await migrate(mirror.sql);
    expect(keptViews).toEqual([
      {
        view: 'crm_lead',
        columns: ['cf_order_value'],
        reason: expect.stringContaining('mine depends on view crm_lead'),
      },
    ]);
    await mirror.sql`drop view public.mine`;
    await migrate(mirror.sql);
    expect((await columnsOf('crm_lead')).get('cf_order_value')?.type).toBe('text');
  });

  it('a deleted field takes its column with it', async () => {
    await change(remove('customfields.fields', 910));
    expect(await namesOf()).not.toContain('cf_order_value');
    const [row] = await mirror.sql`select _record ->> 'cf_910' as value from flowlu.crm_lead where id = 1`;
    expect(row?.value).toBe('78');
  });

  it('a deleted field leaves an empty column to what depends on the view, and a new field of its name takes it over', async () => {
    await mirror.deliver(define({ id: 920, name: 'Channel' }));
    await change(update('crm.lead', 1, { cf_920: 'fair' }));
    await mirror.sql`create view public.mine as select cf_channel from flowlu_live.crm_lead where id = 1`;
    await change(remove('customfields.fields', 920));
    expect((await mirror.sql`select * from public.mine`)[0]).toEqual({ cf_channel: null });
    expect((await columnsOf('crm_lead')).get('cf_channel')?.comment).toMatch(/^No longer a column of this view/);
    await mirror.deliver(define({ id: 930, name: 'Channel' }));
    await change(update('crm.lead', 1, { cf_930: 'web' }));
    expect((await mirror.sql`select * from public.mine`)[0]).toEqual({ cf_channel: 'web' });
    await mirror.sql`drop view public.mine`;
  });

  it('a new alias gives a new name, and records that still carry the old one are read', async () => {
    await mirror.deliver(define({ id: 940, name: 'Tier', alias: 'tier', api_use_alias: 1, webhook_use_alias: 1 }));
    await change(update('crm.lead', 1, { cf_940: 'gold' }));
    await change(update('customfields.fields', 940, { alias: 'level' }));
    expect(await shown('cf_level', 1)).toBe('gold');
    await change(update('crm.lead', 1, { cf_940: '' }));
    expect(await shown('cf_level', 1)).toBeNull();
  });

  it('replicas that look at the same time agree, and only where something changed is anything written', async () => {
    await mirror.deliver(define({ id: 950, name: 'Race' }), define({ id: 951, name: 'Race' }));
    await Promise.all([1, 2, 3, 4].map(refresh));
    await refresh();
    const race = (await namesOf()).filter((name) => name.startsWith('cf_race'));
    expect(race).toEqual(['cf_race', 'cf_race_951']);
    const versions = () =>
      mirror.sql`select xmin::text, key from sync.settings union all select xmin::text, relname from pg_class where relkind = 'v'
                 union all select xmin::text, name from sync.custom_columns order by 2, 1`;
    const before = await versions();
    await Promise.all([refresh(), refresh(), migrate(mirror.sql)]);
    expect(await versions()).toEqual(before);
  });

  it('a view in use is left for the next time', async () => {
    await mirror.deliver(define({ id: 960, name: 'Late' }));
    await mirror.sql.begin(async (tx) => {
      await tx`select count(*) from flowlu_live.crm_lead`;
      await expect(refresh()).rejects.toMatchObject({ code: '55P03' });
    });
    await refresh();
    expect(await namesOf()).toContain('cf_late');
  });

  it('a corrected zone moves the moments, and one that the server does not know leaves them empty', async () => {
    const moment = async (zone: string) => {
      await noteHistorySettings(mirror.sql, { timezone: zone, keeps: true });
      await refresh();
      return shown('cf_datetime_34', 4);
    };
    await change(update('crm.lead', 4, { cf_34: '2025-01-15 12:00:00' }));
    expect(await moment('America/New_York')).toEqual(new Date('2025-01-15T17:00:00Z'));
    expect(await moment('Mars/Base')).toBeNull();
    expect(await moment(ZONE)).toEqual(new Date('2025-01-15T11:00:00Z'));
  });

  it('the facts that describe the views are those that made them', async () => {
    const { zone, customColumns } = await readLiveFacts(mirror.sql);
    expect(zone).toBe(ZONE);
    const described = customColumns.get('crm.lead')?.map(({ name }) => name) ?? [];
    const standing = new Set(await namesOf());
    expect(described.filter((name) => !standing.has(name))).toEqual([]);
    expect(described).toContain('cf_late');
  });
});
