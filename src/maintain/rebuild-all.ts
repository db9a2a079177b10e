/** A rebuild of many models: rows find their tables, then their columns are derived anew. */
import { findModel } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import { countRows, uncataloguedModels } from '../mirror-rows/reads.ts';
import type { MirrorTable } from '../mirror-rows/rows.ts';
import type { Sql } from '../postgres/connection.ts';
import { journaled } from '../store/runs.ts';
import { adoptUncatalogued } from './adopt.ts';
import { type DeriveContext, rebuildTable } from './rebuild.ts';

interface RebuildDeps {
  readonly sql: Sql;
  readonly context: DeriveContext;
  readonly holder: string;
}

export interface RebuildObserver {
  modelStarted(model: string, total: number | null): void;
  modelAdvanced(
    model: string,
    step: { readonly read: number; readonly written: number; readonly unchanged: number; readonly requests: number },
  ): void;
  modelFinished(model: string, outcome: 'done'): void;
}

interface RebuildOptions {
  readonly models: readonly Model[];
  /** Also rows of models that the catalogue does not know: their version depends on the time zone. */
  readonly includeUnknown: boolean;
  readonly observer: RebuildObserver;
  readonly signal: AbortSignal;
}

export interface RebuildReport {
  readonly run_id: string;
  readonly models: readonly {
    readonly model: string;
    readonly rows: number;
    readonly rewritten: number;
    /** Rows that came out of `flowlu.uncatalogued`. */
    readonly moved: number;
  }[];
}

/**
 * Rebuilds models one after the other, and journals the run.
 * @throws the signal's reason or what the database says; what was written by then is right and stays.
 */
export async function rebuild(deps: RebuildDeps, options: RebuildOptions): Promise<RebuildReport> {
  const { sql, holder } = deps;
  const { models, includeUnknown, signal } = options;
  const done: RebuildReport['models'][number][] = [];
  const summary = () => done.filter(({ rows }) => rows > 0).map((row) => ({ ...row }));
  return journaled(sql, { kind: 'rebuild', holder, signal, summary }, async (runId) => {
    const elsewhere = new Set(await uncataloguedModels(sql));
    for (const model of models) {
      const moved = elsewhere.has(model.name) ? await adoptUncatalogued(sql, model, deps.context, signal) : 0;
      done.push({ ...(await rebuildOne(deps, { name: model.name, model }, options)), moved });
    }
    const unknown = includeUnknown ? [...elsewhere].filter((name) => findModel(name) === undefined) : [];
    for (const name of unknown) done.push({ ...(await rebuildOne(deps, { name, model: null }, options)), moved: 0 });
    return { run_id: runId, models: done };
  });
}

async function rebuildOne({ sql, context }: RebuildDeps, table: MirrorTable, { observer, signal }: RebuildOptions) {
  let rows = 0;
  let rewritten = 0;
  observer.modelStarted(table.name, await countRows(sql, table, 'all'));
  for await (const { read, written } of rebuildTable(sql, table, context, signal)) {
    rows += read;
    rewritten += written;
    observer.modelAdvanced(table.name, { read, written, unchanged: read - written, requests: 0 });
  }
  observer.modelFinished(table.name, 'done');
  return { model: table.name, rows, rewritten };
}
