/** What the portal was found to do: measured during normal work, trusted for a day, then measured again. */
import { type Json, stringifyJson } from '../core/json.ts';
import { isAhead } from '../postgres/clock.ts';
import type { Queryable } from '../postgres/connection.ts';

export interface Facts {
  /** Rows per page that the portal grants, whatever is requested. */
  readonly page_size: number;
  /** Rows per page above which the portal fails. */
  readonly bearable_size: number;
  readonly order_by_id: 'honoured' | 'ignored' | 'refused';
  readonly id_filter: 'honoured' | 'ignored' | 'refused';
  readonly date_filter: 'honoured' | 'ignored' | 'refused';
  readonly newest_first: 'honoured' | 'ignored' | 'refused';
  readonly total: 'filtered' | 'whole' | 'missing';
  /** How webhooks write texts: like the API, with entities where it has none, or without where it has some. */
  readonly webhook_texts: 'plain' | 'entities' | 'decoded';
  /** Whether single records can be read; the portal's message if they cannot. */
  readonly get: string;
  /** Whose rights the requests have. */
  readonly rights: { readonly user: string; readonly admin: boolean | null };
  /** Requests a second at which the portal complained. */
  readonly throttled_at: number;
  /** The last row requested because incomplete sweeps do not list it. */
  readonly asked_up_to: string;
  /** The last id requested because rows are missing and the portal's lists have no order. */
  readonly free_ids_asked_up_to: string;
}
export type FactName = keyof Facts;

/** For facts of the portal as a whole. */
export const PORTAL = '*';

export interface Measurement<N extends FactName = FactName> {
  readonly model: string;
  readonly fact: N;
  readonly value: Facts[N];
  readonly measured_at: string;
}

/** How long a fact is trusted before it is measured again. */
const GOOD_FOR_SECONDS = 24 * 3_600;
/** A fact noted this recently is not written again. */
const FRESH_SECONDS = 600;

/** Notes what was found; undefined and null are skipped. */
export async function measure(
  sql: Queryable,
  model: string,
  found: { readonly [N in FactName]?: Facts[N] | null | undefined },
): Promise<void> {
  const facts = Object.entries(found).filter(([, value]) => value !== null && value !== undefined);
  for (const [fact, value] of facts) {
    await sql`
      insert into sync.measurements as m (model, fact, value)
      values (${model}, ${fact}, ${stringifyJson(value as Json)}::text::jsonb)
          on conflict (model, fact) do update set value = excluded.value, measured_at = clock_timestamp()
       where m.value <> excluded.value or m.measured_at < clock_timestamp() - ${FRESH_SECONDS} * interval '1 second' or ${isAhead(sql, 'm.measured_at')}`;
  }
}

/** The portal refuses the key; requests have had no answer for a while; changes are dated after they were read. */
const TROUBLES = ['refused', 'unanswered', 'ahead'] as const;
type TroubleName = (typeof TROUBLES)[number];

/** Since when, and the message: the portal's, that of the last failed request, or ours. */
export interface PortalTrouble {
  readonly since: string;
  readonly words: string;
}

/** Notes a trouble that has lasted `lastedMs`. If it is already known, the earlier start stays. */
export async function noteTrouble(sql: Queryable, name: TroubleName, words: string, lastedMs = 0): Promise<void> {
  await sql`
    insert into sync.measurements (model, fact, value, measured_at)
    values (${PORTAL}, ${name}, to_jsonb(${words}::text), clock_timestamp() - ${lastedMs} * interval '1 millisecond')
        on conflict (model, fact) do nothing`;
}

export async function portalTroubles(sql: Queryable): Promise<{ readonly [N in TroubleName]?: PortalTrouble }> {
  const rows = await sql`
    select fact, to_json(measured_at) #>> '{}' as since, value #>> '{}' as words
      from sync.measurements where model = ${PORTAL} and fact = any(${[...TROUBLES]}::text[])`;
  return Object.fromEntries(rows.map(({ fact, since, words }) => [fact, { since, words }]));
}

export async function forget(
  sql: Queryable,
  model: string,
  ...facts: readonly (FactName | TroubleName | `misfit:${string}`)[]
) {
  await sql`delete from sync.measurements where model = ${model} and fact = any(${[...facts]}::text[])`;
}

/** Values of a field that did not fit its column (`misfit:budget`), or refused requests (`refused:secret`); `at`: the last. */
export type Counted = Readonly<Record<'model' | 'name' | 'at', string>> & { readonly count: number };

/** Adds to counts, named by model and fact. Those of the portal begin anew after a day without any. */
export async function addCounts(sql: Queryable, counts: ReadonlyMap<string, number>): Promise<void> {
  await sql`
    insert into sync.measurements as m (model, fact, value)
    select split_part(name, ' ', 1), split_part(name, ' ', 2), more
      from jsonb_each(${JSON.stringify(Object.fromEntries(counts))}::text::jsonb) as t(name, more) order by 1, 2
        on conflict (model, fact) do update
       set value = case when m.model = ${PORTAL} and m.measured_at < clock_timestamp() - interval '1 day' then excluded.value
                        else to_jsonb(m.value::bigint + excluded.value::bigint) end,
           measured_at = clock_timestamp()`;
}

export async function readCounts(sql: Queryable, kind: 'misfit' | 'refused'): Promise<readonly Counted[]> {
  return sql<Counted[]>`
    select model, split_part(fact, ':', 2) as name, value::float8 as count, to_json(measured_at) #>> '{}' as at
      from sync.measurements where fact like ${`${kind}:%`} order by value::bigint desc, model, fact`;
}

/** However old. */
export async function lastFact<N extends FactName>(sql: Queryable, model: string, fact: N): Promise<Facts[N] | null> {
  const [row] = await sql`select value from sync.measurements where model = ${model} and fact = ${fact}`;
  return (row?.value ?? null) as Facts[N] | null;
}

/** The facts of a model that are still trusted, completed by those of the portal. */
export async function knownFacts(sql: Queryable, model: string): Promise<Partial<Facts>> {
  const rows = await sql`
    select distinct on (fact) fact, value from sync.measurements
     where model in (${model}, ${PORTAL}) and measured_at > clock_timestamp() - ${GOOD_FOR_SECONDS} * interval '1 second' and not ${isAhead(sql, 'measured_at')}
     order by fact, model = ${PORTAL}`;
  return Object.fromEntries(rows.map(({ fact, value }) => [fact, value])) as Partial<Facts>;
}

export async function allMeasurements(sql: Queryable): Promise<readonly Measurement[]> {
  return sql<Measurement[]>`
    select model, fact, value, to_json(measured_at) #>> '{}' as measured_at
      from sync.measurements where fact <> all(${[...TROUBLES]}::text[]) and fact not like '%:%' order by model, fact`;
}
