/** A simulated portal, a database of its own, and what is needed to work on both within the test's process. */

import { findModel } from '../../src/catalog/index.ts';
import type { Model } from '../../src/catalog/types.ts';
import { createLogger, type Logger } from '../../src/core/log.ts';
import { MICROS_PER_MS } from '../../src/core/time.ts';
import { readAnnouncement } from '../../src/delivery/delivery.ts';
import { createClient, type FlowluClient } from '../../src/flowlu/client.ts';
import { createPace } from '../../src/flowlu/pace.ts';
import { createBlockedModels } from '../../src/merge/blocked.ts';
import type { DeliveryContext } from '../../src/merge/deliveries.ts';
import { receive } from '../../src/merge/receive.ts';
import { backfill } from '../../src/reconcile/backfill.ts';
import type { ListingObserver } from '../../src/reconcile/listing.ts';
import { createZone } from '../../src/record/zone.ts';
import { sharedBudget } from '../../src/store/budget.ts';
import { type Change, type Simulator, type SimulatorOptions, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

/** Nobody watches. */
export const quietObserver: ListingObserver = {
  modelStarted: () => {},
  modelAdvanced: () => {},
  modelFinished: () => {},
};

export const never: AbortSignal = new AbortController().signal;

export interface Mirror {
  readonly portal: Simulator;
  readonly database: TestDatabase;
  readonly sql: TestDatabase['sql'];
  readonly client: FlowluClient;
  readonly context: DeliveryContext;
  readonly log: Logger;
  model(name: string): Model;
  /** Reads these models into the mirror. */
  fill(...names: readonly string[]): Promise<void>;
  /** Delivers changes as webhooks, each in a batch of its own; returns the deliveries' ids. */
  deliver(...changes: readonly Change[]): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface MirrorOptions extends SimulatorOptions {
  /** Zone that the mirror believes the portal to be in. */
  readonly believedZone?: string;
  readonly settleGraceMs?: number;
  /** In place of one of its own. */
  readonly database?: TestDatabase;
}

export async function startMirror(options: MirrorOptions = {}): Promise<Mirror> {
  const [portal, database] = await Promise.all([startSimulator(options), options.database ?? createTestDatabase()]);
  const client = createClient({
    baseUrl: portal.baseUrl,
    apiKey: portal.apiKey,
    pace: createPace(0, sharedBudget(database.sql)),
    retry: { baseMs: 1, attempts: 3 },
    timeoutMs: 5_000,
  });
  const context: DeliveryContext = {
    zone: createZone(options.believedZone ?? options.timeZone ?? 'UTC'),
    settleGrace: (options.settleGraceMs ?? 0) * MICROS_PER_MS,
    blocked: createBlockedModels(),
    tableOf: (module, model) => ({ name: `${module}.${model}`, model: findModel(`${module}.${model}`) ?? null }),
  };
  const log = createLogger({ level: 'silent', version: 'test', secrets: [] });
  const { sql } = database;
  const model = (name: string): Model => {
    const found = findModel(name);
    if (found === undefined) throw new Error(`the catalogue has no ${name}`);
    return found;
  };
  return {
    portal,
    database,
    sql,
    client,
    context,
    log,
    model,
    async fill(...names) {
      await backfill(
        { sql, client, writer: context },
        { models: names.map(model), concurrency: 2, holder: 'test', observer: quietObserver, signal: never },
      );
    },
    async deliver(...changes) {
      const ids: string[] = [];
      for (const change of changes) {
        const body = portal.webhooks.body(change);
        ids.push(...(await receive([{ body, announcement: readAnnouncement(body) }], { sql, context, log })));
      }
      return ids;
    },
    async close() {
      await portal.close();
      await database.close();
    },
  };
}
