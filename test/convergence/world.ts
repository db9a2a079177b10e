/**
 * Plays a history: a portal changes, its webhooks come as they like to two replicas, and the API is read meanwhile.
 * The product's own functions do all the work on a real PostgreSQL; only the clock and the portal are the test's.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { findModel } from '../../src/catalog/index.ts';
import type { Model } from '../../src/catalog/types.ts';
import type { Json } from '../../src/core/json.ts';
import { createLogger } from '../../src/core/log.ts';
import { readAnnouncement } from '../../src/delivery/delivery.ts';
import { replay } from '../../src/maintain/replay.ts';
import { createBlockedModels } from '../../src/merge/blocked.ts';
import type { DeliveryContext } from '../../src/merge/deliveries.ts';
import { drainPending } from '../../src/merge/drain.ts';
import { receive } from '../../src/merge/receive.ts';
import { settleDue } from '../../src/merge/settle.ts';
import { createShapes, type Shapes } from '../../src/merge/shapes.ts';
import { databaseClock } from '../../src/postgres/clock.ts';
import type { Sql } from '../../src/postgres/connection.ts';
import { catchUpAll, sweepAll } from '../../src/reconcile/catch-up.ts';
import { createZone, type Zone } from '../../src/record/zone.ts';
import { countDoubtsUpTo } from '../../src/store/doubts.ts';
import { never, quietObserver } from '../support/mirror.ts';
import {
  type Activity,
  type Fate,
  type History,
  type Life,
  ROUNDS,
  type Round,
  STARTS,
  type Step,
} from './histories.ts';
import { type Being, createSource, type Source } from './source.ts';
import { type Aspect, CUSTOM_FIELDS, SPECIES, type State, spell } from './species.ts';
import type { VirtualClock } from './virtual-clock.ts';

const ZONE = 'Europe/Berlin';
/** Longer than any back-off of settling. */
const LONG_SECONDS = 7_200;
const MAX_SETTLE_TURNS = 12;

/** One process of the product: a pool, and what it knows of custom fields. */
export interface Replica {
  readonly sql: Sql;
  readonly shapes: Shapes;
  readonly context: DeliveryContext;
}

export interface World {
  readonly source: Source;
  readonly replicas: readonly [Replica, Replica];
  readonly clock: VirtualClock;
  readonly zone: Zone;
  /** Bodies of all deliveries that were acknowledged, by the ledger's ids. */
  readonly acknowledged: Map<string, string>;
  /** Lives by the being that they became. */
  readonly lives: ReadonlyMap<Being, Life>;
  readonly history: History;
}

interface Parcel {
  readonly body: string;
  readonly round: number;
  readonly rank: number;
}

const log = createLogger({ level: 'silent', version: 'test', secrets: [] });
const MODELS: readonly Model[] = [...SPECIES.map(({ name }) => name), 'customfields.fields'].flatMap(
  (name) => findModel(name) ?? [],
);

/** A process of the product that believes the portal to be in `zone`. */
export function createReplica(sql: Sql, zone: string = ZONE): Replica {
  const shapes = createShapes();
  const context: DeliveryContext = {
    zone: createZone(zone),
    settleGrace: 60_000_000,
    blocked: createBlockedModels(),
    shapeOf: shapes.of,
    tableOf: (module, model) => ({ name: `${module}.${model}`, model: findModel(`${module}.${model}`) ?? null }),
  };
  return { sql, shapes, context };
}

const walls = new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE, dateStyle: 'short', timeStyle: 'medium' });

/** The portal's wall clock at an instant. */
export function wallOf(instant: string | number): string {
  return walls.format(new Date(instant));
}

const WORDS = ['A', 'B', 'C'] as const;

function changed(state: State, { aspect, value }: Step, at: string): State {
  const values: { readonly [A in Aspect]?: State[A] } = {
    name: WORDS[value] ?? 'A',
    flag: value % 2 === 1,
    link: value === 0 ? null : value,
    amount: value === 0 ? null : `${value}5`,
    custom: value === 0 ? '' : (WORDS[value] ?? ''),
  };
  return { ...state, [aspect]: values[aspect], changed: at };
}

/** Plays the history up to the end of its last round; what is on its way then has not arrived yet. */
export async function play(
  history: History,
  replicas: readonly [Replica, Replica],
  clock: VirtualClock,
): Promise<{ world: World; arriveAll: () => Promise<void> }> {
  await clock.reset(Date.parse(STARTS[history.start] ?? STARTS[0]) / 1_000);
  const source = createSource(() => databaseClock(replicas[0].sql));
  source.asSeen = history.asSeen;
  const parcels: Parcel[] = [];
  const lives = new Map<Being, Life>();
  const pasts = new Map<Being, State[]>();
  const world: World = {
    source,
    replicas,
    clock,
    zone: createZone(ZONE),
    acknowledged: new Map(),
    lives,
    history,
  };
  const post = (round: number, fate: Fate, lossless: boolean, body: Json) => {
    if (fate.dropped && !lossless) return;
    for (const [copy, delay] of fate.delays.entries()) {
      parcels.push({ body: JSON.stringify(body), round: round + delay, rank: (fate.rank + copy * 37) % 100 });
    }
  };
  const definitions = CUSTOM_FIELDS.map((current): Parcel => {
    const meta = { module: 'customfields', model: 'fields', action: 'create' };
    return { body: JSON.stringify({ meta, current, previous: null }), round: history.lives.length % ROUNDS, rank: 0 };
  });
  if (history.knowsCustomFields) await take(world, replicas[0], definitions);
  else parcels.push(...definitions);
  for (const { shapes, sql } of replicas) await shapes.refresh(sql);
  const beingOf = beBorn(history, world, post);

  const arrive = async (due: readonly Parcel[], batchSize: number) => {
    const ordered = due.toSorted((a, b) => a.rank - b.rank);
    // Cut into batches that two replicas take in turn, each its own one after the other.
    const batches = Array.from({ length: Math.ceil(ordered.length / batchSize) }, (_, index) =>
      ordered.slice(index * batchSize, (index + 1) * batchSize),
    );
    await Promise.all(
      replicas.map(async (replica, which) => {
        for (const [index, batch] of batches.entries()) if (index % 2 === which) await take(world, replica, batch);
      }),
    );
  };

  for (const [number, round] of history.rounds.entries()) {
    await clock.advance(round.secondsBefore);
    source.fault = round.fault;
    const due = parcels.filter((parcel) => parcel.round < number);
    await playRound(world, round, number, {
      change: async () => {
        beingOf.born(number);
        for (let turnOf = 0; turnOf < 6; turnOf += 1) {
          if (turnOf > 0 && round.secondsBetween > 0) await clock.advance(round.secondsBetween);
          for (const [being, life] of lives) live(being, life, number, turnOf);
        }
      },
      arrive: async (half) => {
        const now = parcels.filter((parcel) => parcel.round === number && parcel.rank % 2 === half);
        await arrive(now, round.batchSize);
      },
    });
    if (due.length > 0) throw new Error('a parcel was left behind');
    parcels.splice(0, parcels.length, ...parcels.filter((parcel) => parcel.round > number));
  }
  source.fault = 'none';
  source.release();
  return { world, arriveAll: () => arrive(parcels.splice(0), 7) };

  function live(being: Being, life: Life, number: number, turnOf: number): void {
    const step = life.steps.filter(({ round }) => round === number)[turnOf];
    if (step === undefined || !being.alive || life.bornIn > number) return;
    const at = wallOf(clock.seconds() * 1_000);
    const past = pasts.get(being) ?? [];
    const before = being.state;
    const omits = number >= life.fullFrom ? [] : life.omits;
    pasts.set(being, [...past, before]);
    const [module, model] = being.species.name.split('.');
    const meta = (action: string) => ({ module, model, action }) as Record<string, string>;
    const previous =
      step.fate.tellsPrevious === 'yes' ? spell(being.species, being.id, before, 'webhook', omits) : null;
    if (step.kind === 'delete') {
      being.alive = false;
      being.deletedAtSeconds = clock.seconds();
      const last = spell(being.species, being.id, before, 'webhook', omits);
      post(number, step.fate, life.lossless, { meta: meta('delete'), current: null, previous: last });
      return;
    }
    being.state = stateAfter(before, past.at(-1), step, at);
    if (step.kind === 'merge' && being.species.keys.mergedTo !== undefined) being.merged = true;
    post(number, step.fate, life.lossless, {
      meta: meta('update'),
      current: spell(being.species, being.id, being.state, 'webhook', omits),
      previous: previous ?? (step.fate.tellsPrevious === 'empty' ? {} : null),
    });
  }
}

function stateAfter(before: State, last: State | undefined, step: Step, at: string): State {
  switch (step.kind) {
    case 'toggle':
      return { ...(last ?? before), mergedTo: before.mergedTo, changed: at };
    case 'merge':
      return { ...before, mergedTo: 1, changed: at };
    case 'touch':
      return { ...before, changed: at };
    default:
      return changed(before, step, at);
  }
}

type Post = (round: number, fate: Fate, lossless: boolean, body: Json) => void;

/** Puts every life's being into the portal, old ones at once and new ones in their round. */
function beBorn({ lives: given }: History, world: World, post: Post) {
  const lives = world.lives as Map<Being, Life>;
  const bear = (life: Life, id: number) => {
    const species = SPECIES[life.species] ?? (SPECIES[0] as (typeof SPECIES)[number]);
    const state: State = {
      name: 'A',
      flag: false,
      link: null,
      amount: null,
      custom: '',
      mergedTo: null,
      changed: wallOf(world.clock.seconds() * 1_000),
    };
    const being: Being = { species, id, state, alive: true, merged: false, deletedAtSeconds: null };
    lives.set(being, life);
    world.source.add(being);
    return being;
  };
  for (const [index, life] of given.entries()) if (life.old) bear(life, index + 1);
  return {
    born(number: number) {
      for (const [index, life] of given.entries()) {
        if (life.old || life.bornIn !== number) continue;
        const { species, id, state } = bear(life, index + 1);
        const [module, model] = species.name.split('.');
        const omits = number >= life.fullFrom ? [] : life.omits;
        const current = spell(species, id, state, 'webhook', omits);
        const meta = { module, model, action: 'create' } as Record<string, string>;
        post(number, life.birth, life.lossless, { meta, current, previous: null });
      }
    },
  };
}

/** Requests go out first; the portal changes and webhooks arrive before, between and after their answers. */
async function playRound(
  world: World,
  round: Round,
  number: number,
  events: { change: () => Promise<void>; arrive: (half: number) => Promise<void> },
): Promise<void> {
  const { source, replicas } = world;
  // One replica knows new custom fields at once, the other every other time.
  for (const [index, { shapes, sql }] of replicas.entries())
    if (index === 0 || number % 2 === 1) await shapes.refresh(sql);
  const activities = round.activities.map((activity) => act(world, activity));
  const failures: unknown[] = [];
  const finished = Promise.all(activities.map((one) => one.catch((error) => failures.push(error))));
  await turn();
  await events.change();
  source.nextPhase();
  await events.arrive(0);
  source.nextPhase();
  await events.arrive(1);
  let over = false;
  finished.finally(() => {
    over = true;
  });
  // Requests that follow late answers may be late again; each of these turns lets some go on.
  while (!over) {
    source.nextPhase();
    await turn();
  }
  await finished;
  if (failures.length > 0) throw failures[0];
}

const holder = 'convergence';

async function act(world: World, { kind, replica: which, lateness }: Activity): Promise<void> {
  const replica = world.replicas[which];
  const { sql, context } = replica;
  const client = world.source.client(lateness);
  const deps = { sql, client, writer: context };
  const options = { models: MODELS, concurrency: 2, holder, observer: quietObserver, signal: never };
  switch (kind) {
    case 'sweep':
      await sweepAll(deps, { ...options, allowDeletes: 0 });
      return;
    case 'catchUp':
      await catchUpAll(deps, options);
      return;
    case 'settle':
      await settleDue({ sql, client, writer: context, tableOf }, 100, never);
      return;
    case 'replay':
      // By the command's own way, and as deliveries that were recorded without being applied.
      if (which === 0) {
        await replay({ sql, context, log, holder }, {}, () => {}, never);
        return;
      }
      await sql`update sync.deliveries set status = 'pending' where status = 'applied' and id % 3 = 1`;
      await drainPending({ sql, context, log }, never);
      return;
  }
}

/** Where a model's rows rest. */
export const tableOf = (name: string) => ({ name, model: findModel(name) ?? null });

async function take({ acknowledged }: World, { sql, context }: Replica, batch: readonly Parcel[]): Promise<void> {
  const accepted = batch.map(({ body }) => ({ body, announcement: readAnnouncement(body) }));
  const ids = await receive(accepted, { sql, context, log });
  for (const [index, id] of ids.entries()) acknowledged.set(id, batch[index]?.body ?? '');
}

/** Settles until nothing is doubtful, with the time that this takes passing at once. */
export async function settleAll(world: World): Promise<void> {
  const client = world.source.client([0]);
  for (let attempt = 0; attempt < MAX_SETTLE_TURNS; attempt += 1) {
    await world.clock.advance(LONG_SECONDS);
    for (const { shapes, sql } of world.replicas) await shapes.refresh(sql);
    for (const { sql, context } of world.replicas) await drainPending({ sql, context, log }, never);
    if ((await countDoubtsUpTo(world.replicas[0].sql, 1)) === 0) return;
    await Promise.all(
      world.replicas.map(({ sql, context }) => settleDue({ sql, client, writer: context, tableOf }, 1_000, never)),
    );
  }
  throw new Error('doubts stay open although the portal answers');
}

export async function sweepOnce(world: World): Promise<void> {
  await act(world, { kind: 'sweep', replica: 0, lateness: [0] });
}

export async function catchUpOnce(world: World): Promise<void> {
  await act(world, { kind: 'catchUp', replica: 1, lateness: [0] });
}
