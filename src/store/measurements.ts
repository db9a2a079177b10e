/** What the portal has been found to do: measured along with the work, good for a day, then found out again. */
import { type Json, stringifyJson } from '../core/json.ts';
import { isAhead } from '../postgres/clock.ts';
import type { Queryable } from '../postgres/connection.ts';

export interface Facts {
  /** Rows on a page that the portal grants, whatever is asked for. */
  readonly page_size: number;
  /** Rows on a page beyond which the portal fails. */
  readonly bearable_size: number;
  readonly order_by_id: 'honoured' | 'ignored' | 'refused';
  readonly id_filter: 'honoured' | 'ignored' | 'refused';
  readonly date_filter: 'honoured' | 'ignored' | 'refused';
  readonly newest_first: 'honoured' | 'ignored' | 'refused';
  readonly total: 'filtered' | 'whole' | 'missing';
  /** How webhooks spell texts: as the API does, with entities where it has none, or without where it has some. */
  readonly webhook_texts: 'plain' | 'entities' | 'decoded';
  /** Whether single records can be read: what the portal says where they cannot. */
  readonly get: string;
  /** Whose rights the requests have. */
  readonly rights: { readonly user: string; readonly admin: boolean | null };
  /** Requests a second at which the portal has complained. */
  readonly throttled_at: number;
  /** The last row that was asked for because incomplete sweeps do not list it. */
  readonly asked_up_to: string;
  /** The last id that was asked for because rows are missing and the portal's lists have no order. */
  readonly free_ids_asked_up_to: string;
}
export type FactName = keyof Facts;

/** Facts of the portal as a whole rather than of one model. */
export const PORTAL = '*';

export interface Measurement<N extends FactName = FactName> {
  readonly model: string;
  readonly fact: N;
  readonly value: Facts[N];
  readonly measured_at: string;
}

/** How long a fact is relied on before it is found out again. */
const GOOD_FOR_SECONDS = 24 * 3_600;
/** A fact that was noted so lately is not written again. */
const FRESH_SECONDS = 600;

/** Notes what was found; undefined and null say nothing. */
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

/** The portal refuses the key; no request has brought an answer for a while; changes are dated after they were read. */
const TROUBLES = ['refused', 'unanswered', 'ahead'] as const;
type TroubleName = (typeof TROUBLES)[number];

/** Since when, and in what words: the portal's, those of the last request that failed, or ours. */
export interface PortalTrouble {
  readonly since: string;
  readonly words: string;
}

/** Notes that there is such a trouble, and has been for so long; unless that is known: it counts since then. */
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

export async function forget(sql: Queryable, model: string, ...facts: readonly (FactName | TroubleName)[]) {
  await sql`delete from sync.measurements where model = ${model} and fact = any(${[...facts]}::text[])`;
}

/** One fact of one model, however old. */
export async function lastFact<N extends FactName>(sql: Queryable, model: string, fact: N): Promise<Facts[N] | null> {
  const [row] = await sql`select value from sync.measurements where model = ${model} and fact = ${fact}`;
  return (row?.value ?? null) as Facts[N] | null;
}

/** The facts of a model that are still good; where there are none of its own, those of the portal. */
export async function knownFacts(sql: Queryable, model: string): Promise<Partial<Facts>> {
  const rows = await sql`
    select distinct on (fact) fact, value from sync.measurements
     where model in (${model}, ${PORTAL}) and measured_at > clock_timestamp() - ${GOOD_FOR_SECONDS} * interval '1 second' and not ${isAhead(sql, 'measured_at')}
     order by fact, model = ${PORTAL}`;
  return Object.fromEntries(rows.map(({ fact, value }) => [fact, value])) as Partial<Facts>;
}

export async function allMeasurements(sql: Queryable): Promise<readonly Measurement[]> {
  const rows = await sql`
    select model, fact, value, to_json(measured_at) #>> '{}' as measured_at
      from sync.measurements where fact <> all(${[...TROUBLES]}::text[]) order by model, fact`;
  return rows as unknown as readonly Measurement[];
}
