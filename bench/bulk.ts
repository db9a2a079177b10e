/** Backfill, sweep and pace of requests: whole runs of the command line against a portal that is never the limit. */
import { type BenchDatabase, lastRunSeconds, mirrorWrites, walPosition } from './database.ts';
import { copyAndMerge, copyInto, typedRows, wholeRows } from './limits.ts';
import { alone, atLeast, atMost, compared, type Measure } from './measure.ts';
import type { Plan } from './plan.ts';
import { PAGE_SIZE, type Portal, ROW_BYTES, startPortal } from './portal.ts';
import { type Product, runCommand } from './product.ts';
import { BULK_MODELS, titleField } from './rows.ts';
import { range } from './statistics.ts';
import type { PeerWorker } from './webhooks.ts';

const MODELS = BULK_MODELS.map(({ name }) => name);
const TABLES = BULK_MODELS.map(({ table }) => `flowlu.${table}`).join(', ');

interface Stage {
  readonly plan: Plan;
  readonly database: BenchDatabase;
  readonly product: Product;
  readonly peer: PeerWorker;
  readonly portal: Portal;
}

/** Takes all measures of bulk work. */
export async function measureBulk(
  plan: Plan,
  database: BenchDatabase,
  product: Product,
  peer: PeerWorker,
  say: (line: string) => void,
): Promise<Measure[]> {
  const portal = await startPortal(BULK_MODELS);
  const stage: Stage = { plan, database, product, peer, portal };
  try {
    const rounds: Round[] = [];
    for (let round = 1; round <= plan.rounds; round += 1) {
      say(`bulk: round ${round} of ${plan.rounds}`);
      rounds.push(await takeTurn(stage, round));
    }
    const paces: Pace[] = [];
    for (let round = 1; round <= plan.rounds; round += 1) {
      say(`pace: round ${round} of ${plan.rounds}`);
      paces.push(await pacedBackfill(stage));
    }
    say(`memory: ${plan.memory.rows} rows`);
    return [...measuresOf(rounds), ...measuresOfPace(plan, paces), ...(await measureMemory(stage))];
  } finally {
    await portal.close();
  }
}

/** Rows a second of everything in one round. */
interface Round {
  readonly ours: { readonly insert: number; readonly update: number };
  readonly peer: { readonly insert: number; readonly update: number };
  readonly copy: number;
  readonly merge: { readonly insert: number; readonly update: number };
  /** The same into the mirror's own table, with all that it keeps beside the typed columns. */
  readonly mergeWhole: { readonly insert: number; readonly update: number };
  readonly sweep: number;
  readonly sweepWrites: number;
  readonly sweepWalPerRow: number;
}

async function takeTurn(stage: Stage, round: number): Promise<Round> {
  const { plan, database, peer } = stage;
  const { sql } = database;
  const { rows, peerRows } = plan.bulk;
  await sql.unsafe(`truncate ${TABLES}, bench.typed, bench.whole`);
  await sql`checkpoint`;
  const firstPeerRow = round * 1_000_000;
  const upsert = async (change: number) =>
    peerRows / (await peer.run({ do: 'upsert', from: firstPeerRow, count: peerRows, change, bytes: ROW_BYTES }));

  const insert = await ourRows(stage, ['backfill'], 1);
  const copied = await copyInto(sql, typedRows(rows, 1));
  await sql.unsafe('truncate bench.typed');
  const merged = await copyAndMerge(sql, 'typed', typedRows(rows, 1));
  const mergedWhole = await copyAndMerge(sql, 'whole', wholeRows(rows, 1));
  const peerInsert = await upsert(1);
  await sql`checkpoint`;
  const update = await ourRows(stage, ['backfill'], 2);
  const mergedAgain = await copyAndMerge(sql, 'typed', typedRows(rows, 2));
  const mergedWholeAgain = await copyAndMerge(sql, 'whole', wholeRows(rows, 2));
  const peerUpdate = await upsert(2);
  return {
    peer: { insert: peerInsert, update: peerUpdate },
    copy: copied,
    merge: { insert: merged, update: mergedAgain },
    mergeWhole: { insert: mergedWhole, update: mergedWholeAgain },
    ...(await sweepUnchanged(stage)),
    ours: { insert, update },
  };
}

async function sweepUnchanged(stage: Stage) {
  const { sql } = stage.database;
  const { rows } = stage.plan.bulk;
  // The first reading of a fresh row marks its page; that must not count as the sweep's own log.
  await sql.unsafe(`vacuum ${TABLES}`);
  await sql`checkpoint`;
  const before = { writes: await mirrorWrites(sql), wal: await walPosition(sql) };
  const sweep = await ourRows(stage, ['reconcile', '--full'], 2);
  const after = { writes: await mirrorWrites(sql), wal: await walPosition(sql) };
  return {
    sweep,
    sweepWrites: after.writes - before.writes,
    sweepWalPerRow: (after.wal - before.wal) / rows,
  };
}

/** One command over all models without a rate limit; rows a second. */
async function ourRows({ plan, portal, product, database }: Stage, command: readonly string[], change: number) {
  const perModel = plan.bulk.rows / MODELS.length;
  portal.set({ rows: perModel, change });
  await runCommand(product, [...command, ...MODELS], portalSettings(portal, 0));
  await checkRows(database, perModel, change);
  return plan.bulk.rows / (await lastRunSeconds(database.sql));
}

const portalSettings = (portal: Portal, rate: number) => ({
  FLOWLU_BASE_URL: portal.baseUrl,
  FLOWLU_API_KEY: 'key-of-the-benchmark',
  FLOWLU_REQUESTS_PER_SECOND: String(rate),
});

/** A fast run that left something out would be worth nothing. */
async function checkRows({ sql }: BenchDatabase, perModel: number, change: number): Promise<void> {
  for (const model of BULK_MODELS) {
    const [row] = await sql.unsafe(
      `select count(*)::int as rows from flowlu.${model.table} where ${titleField(model)} like '%, state ${change}'`,
    );
    if (row?.rows !== perModel)
      throw new Error(`${model.name} holds ${row?.rows} rows of this change, not ${perModel}`);
  }
}

interface Pace {
  /** Duration ÷ (requests needed ÷ rate). */
  readonly ratio: number;
  readonly requests: number;
}

/** A backfill at a given rate of requests. Pages that are not full at the end, as they are in real life. */
async function pacedBackfill({ plan, portal, product, database }: Stage): Promise<Pace> {
  const { requests, requestsPerSecond } = plan.pace;
  const perModel = Math.floor(requests / MODELS.length) * PAGE_SIZE - PAGE_SIZE / 2;
  const needed = MODELS.length * Math.ceil(perModel / PAGE_SIZE);
  await database.sql.unsafe(`truncate ${TABLES}`);
  portal.set({ rows: perModel, change: 1 });
  await runCommand(product, ['backfill', ...MODELS], portalSettings(portal, requestsPerSecond));
  await checkRows(database, perModel, 1);
  const seconds = await lastRunSeconds(database.sql);
  return { ratio: seconds / (needed / requestsPerSecond), requests: portal.requests() / needed };
}

async function measureMemory({ plan, portal, product, database }: Stage): Promise<Measure[]> {
  await database.sql.unsafe(`truncate ${TABLES}`);
  portal.set({ rows: plan.memory.rows / MODELS.length, change: 1 });
  const settings = portalSettings(portal, 0);
  const backfill = await runCommand(product, ['backfill', ...MODELS], settings);
  const sweep = await runCommand(product, ['reconcile', '--full', ...MODELS], settings);
  return [
    ...memoryOf(`backfill of ${plan.memory.rows} rows`, backfill.resident),
    ...memoryOf(`sweep of ${plan.memory.rows} rows`, sweep.resident),
  ];
}

const MEMORY_MAX_MB = 200;

function memoryOf(name: string, resident: readonly number[]): Measure[] {
  const early = resident.slice(0, Math.ceil(resident.length / 4));
  const [, peak] = range(resident);
  const about = (what: string) => ({ group: 'memory', name: `${name}, ${what}`, unit: 'MB' }) as const;
  const firstQuarter = { name: 'in its first quarter', values: [range(early)[1]] };
  return [compared(about('most resident memory'), [peak], firstQuarter, atMost(MEMORY_MAX_MB, 'ours'))];
}

function measuresOf(rounds: readonly Round[]): Measure[] {
  const all = (pick: (round: Round) => number) => rounds.map(pick);
  const about = (name: string) => ({ group: 'bulk', name, unit: 'rows/s' }) as const;
  const sweep = (name: string, unit: string) => ({ group: 'sweep', name, unit }) as const;
  const insert = all(({ ours }) => ours.insert);
  const update = all(({ ours }) => ours.update);
  return [
    compared(
      about('backfill, insert'),
      insert,
      { name: 'COPY + merge', values: all(({ merge }) => merge.insert) },
      atLeast(0.6),
    ),
    compared(
      about('backfill, update'),
      update,
      { name: 'COPY + merge', values: all(({ merge }) => merge.update) },
      atLeast(0.6),
    ),
    compared(
      about('backfill, insert'),
      insert,
      { name: 'COPY + merge with _record', values: all(({ mergeWhole }) => mergeWhole.insert) },
      null,
    ),
    compared(
      about('backfill, update'),
      update,
      { name: 'COPY + merge with _record', values: all(({ mergeWhole }) => mergeWhole.update) },
      null,
    ),
    compared(about('backfill, insert'), insert, { name: 'COPY', values: all(({ copy }) => copy) }, null),
    compared(about('backfill, insert'), insert, { name: 'peer', values: all(({ peer }) => peer.insert) }, atLeast(15)),
    compared(about('backfill, update'), update, { name: 'peer', values: all(({ peer }) => peer.update) }, atLeast(15)),
    alone(
      sweep('sweep of unchanged rows', 'rows/s'),
      all((round) => round.sweep),
      atLeast(60_000, 'ours'),
    ),
    alone(
      sweep('sweep of unchanged rows, mirror rows written', 'rows'),
      all(({ sweepWrites }) => sweepWrites),
      atMost(0, 'ours'),
    ),
    alone(
      sweep('sweep of unchanged rows, log', 'bytes/row'),
      all(({ sweepWalPerRow }) => sweepWalPerRow),
      null,
    ),
  ];
}

function measuresOfPace({ pace }: Plan, paces: readonly Pace[]): Measure[] {
  const about = (name: string) => ({ group: 'pace', name, unit: '×' }) as const;
  const rate = `${pace.requestsPerSecond} requests/s`;
  return [
    alone(
      about(`backfill at ${rate}: time ÷ (requests needed ÷ rate)`),
      paces.map(({ ratio }) => ratio),
      atMost(1.05, 'ours'),
    ),
    alone(
      about(`backfill at ${rate}: requests ÷ requests needed`),
      paces.map(({ requests }) => requests),
      null,
    ),
  ];
}
