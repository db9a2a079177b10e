/** A small stage for single scenes: one model of a portal in memory, one replica, and a clock that the test sets. */

import { findModel } from '../../src/catalog/index.ts';
import type { Model } from '../../src/catalog/types.ts';
import { createLogger } from '../../src/core/log.ts';
import { readAnnouncement } from '../../src/delivery/delivery.ts';
import type { FlowluClient } from '../../src/flowlu/client.ts';
import { receive } from '../../src/merge/receive.ts';
import { settleDue } from '../../src/merge/settle.ts';
import { databaseClock } from '../../src/postgres/clock.ts';
import { connect } from '../../src/postgres/connection.ts';
import { catchUpAll, sweepAll } from '../../src/reconcile/catch-up.ts';
import type { Round } from '../../src/reconcile/round.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { never, quietObserver } from '../support/mirror.ts';
import { clear, installWatch } from './checks.ts';
import { type Being, createSource, type Source } from './source.ts';
import { SPECIES, type Species, type State, spell } from './species.ts';
import { installVirtualClock, type VirtualClock } from './virtual-clock.ts';
import { createReplica, type Replica, tableOf, wallOf } from './world.ts';

interface SweepScene {
  readonly by?: Replica;
  readonly allowDeletes?: number;
  /** Told when a page's answer is on its way. */
  readonly onPage?: () => Promise<void>;
}

export interface Stage {
  readonly database: TestDatabase;
  readonly clock: VirtualClock;
  readonly replica: Replica;
  readonly species: Species;
  readonly model: Model;
  /** The portal; a new one after each `empty`. */
  source(): Source;
  empty(): Promise<void>;
  /** Empty, with definitions read anew, on a morning in June. */
  renew(): Promise<void>;
  /** Sets everybody's clock. */
  at(instant: string): Promise<void>;
  bear(id: number): Being;
  /** Changes a record; returns the webhook's body. */
  rename(being: Being, name: string): string;
  /** Deletes a record, and no webhook tells. */
  bury(being: Being): void;
  deliver(...bodies: readonly string[]): Promise<void>;
  sweep(options?: SweepScene): Promise<Round>;
  catchUp(): Promise<Round>;
  settle(): ReturnType<typeof settleDue>;
  close(): Promise<void>;
}

const log = createLogger({ level: 'silent', version: 'test', secrets: [] });

/** Opens a stage for one of the species' models. */
export async function openStage(name: string): Promise<Stage> {
  const species = SPECIES.find((one) => one.name === name);
  const model = findModel(name);
  if (species === undefined || model === undefined) throw new Error(`no species or no model ${name}`);
  const database = await createTestDatabase();
  const clock = await installVirtualClock(database.sql);
  await installWatch(database.sql);
  const replica = createReplica(connect(database.url, { applicationName: 'flowlu-mirror test replica', max: 4 }));
  const { sql, context } = replica;
  const open = () => createSource(() => databaseClock(sql));
  let source = open();
  const empty = async () => {
    await clear(database.sql);
    source = open();
  };
  const at = (instant: string) => clock.reset(Date.parse(instant) / 1_000);
  const now = () => wallOf(clock.seconds() * 1_000);
  const deps = (by: Replica = replica) => ({ sql: by.sql, client: source.client([0]), writer: by.context });
  const round = { models: [model], concurrency: 1, holder: 'test', observer: quietObserver, signal: never };
  return {
    database,
    clock,
    replica,
    species,
    model,
    source: () => source,
    empty,
    async renew() {
      await empty();
      await replica.shapes.refresh(sql);
      await at('2026-06-10T09:00:00Z');
    },
    at,
    bear(id) {
      const none = { flag: true, link: null, amount: null, custom: '', mergedTo: null };
      const state: State = { ...none, name: 'A', changed: now() };
      const being: Being = { species, id, state, alive: true, merged: false, deletedAtSeconds: null };
      source.add(being);
      return being;
    },
    rename(being, to) {
      const previous = being.state;
      being.state = { ...previous, name: to, changed: now() };
      const meta = { module: model.module, model: model.model, action: 'update' };
      const [current, before] = [being.state, previous].map((state) => spell(species, being.id, state, 'webhook'));
      return JSON.stringify({ meta, current, previous: before });
    },
    bury(being) {
      being.alive = false;
      being.deletedAtSeconds = clock.seconds();
    },
    async deliver(...bodies) {
      for (const body of bodies) await receive([{ body, announcement: readAnnouncement(body) }], { sql, context, log });
    },
    sweep({ by, allowDeletes = 0, onPage } = {}) {
      const { client, ...rest } = deps(by);
      const list: FlowluClient['list'] = async (...query) => {
        const answer = await client.list(...query);
        await onPage?.();
        return answer;
      };
      return sweepAll({ ...rest, client: { ...client, list } }, { ...round, allowDeletes });
    },
    catchUp: () => catchUpAll(deps(), round),
    settle: () => settleDue({ ...deps(), tableOf }, 1_000, never),
    async close() {
      await sql.end({ timeout: 5 });
      await database.close();
    },
  };
}
