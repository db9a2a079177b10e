/** `demo`: a simulated Flowlu portal, an embedded PostgreSQL and the real commands, all on this machine. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { openEmbedded } from '../../embedded/server.ts';
import { connect, type Sql } from '../../postgres/connection.ts';
import { count } from '../../status/words.ts';
import { coloursOf, printLine, spin } from '../../terminal/output.ts';
import { wholeNumber } from '../arguments.ts';
import { createChildren, type Service } from '../demo-children.ts';
import { loadSimulator, type Simulator } from '../demo-simulator.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type CommandContext, runCommand } from '../run.ts';

interface DemoFlags {
  readonly seconds?: number;
  readonly rows: number;
  readonly seed: number;
  readonly port?: number;
  readonly portal: 'documented' | 'as-seen';
  readonly still?: boolean;
}

export const demoCommand = new Command('demo')
  .option('--seconds <number>', 'stop after this many seconds', wholeNumber())
  .option('--rows <number>', 'records in the portal', wholeNumber(), 20_000)
  .option('--seed <number>', 'same seed, same portal', wholeNumber(), 1)
  .option('--port <number>', 'where the service listens; 8787 if it is free', wholeNumber())
  .addOption(
    new Option('--portal <profile>', 'as the documentation says, or as clients saw live portals')
      .choices(['documented', 'as-seen'])
      .default('documented'),
  )
  .option('--still', 'the fixed data that docs/analysts.md shows; nothing changes')
  .action((flags: DemoFlags, command: Command) =>
    runCommand(command, (context) => demo(context, flags), { ignoresSettings: true, isBusy: false }),
  );

export const SECRET = 'demo-secret-for-this-machine-only';
const CHANGES_PER_SECOND = 20;
const COMPARE_MAX_MS = 300_000;
/** The API has no list of comments, so what is lost of them cannot be found again. */
const BEYOND_REPAIR = 'system.comments';
const UNCONFIRMED =
  'deleted without notice: no single records of their models can be read, so a second sweep an hour later has to confirm it';

/** Ends with a comparison of every row of the portal with the mirror, unless the terminal is closed. */
async function demo({ signal }: CommandContext, flags: DemoFlags): Promise<ExitCode> {
  const { startSimulator, models, randomFrom, compareWithSource } = await loadSimulator();
  const hangUp = new AbortController();
  process.once('SIGHUP', () => hangUp.abort());
  // One of its own for each demonstration: a second one beside it disturbs nothing.
  const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-demo-'));
  await chmod(directory, 0o711);
  // A server that was interrupted while it started may still be on its way out.
  const discard = () => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  const stopSpinning = spin('starting PostgreSQL');
  const database = await openEmbedded({ directory, signal }).catch(async (error: unknown) => {
    await discard();
    throw error;
  });
  stopSpinning();
  let simulator: Simulator | null = null;
  let service: Service | null = null;
  try {
    heading('A simulated Flowlu portal');
    simulator = await startSimulator({
      seed: flags.seed,
      rows: flags.rows,
      profile: flags.portal,
      rowsPerModel: { [BEYOND_REPAIR]: 0 },
      timeZone: 'Europe/Berlin',
      // The page for analysts shows fixed days; else the portal has been used until yesterday.
      ...(flags.still !== true && { historyEnds: new Date(Date.now() - 86_400_000) }),
    });
    const { portal } = simulator;
    const names = models.map(({ module, model }) => `${module}.${model}`);
    const records = names.reduce((sum, name) => sum + portal.count(name), 0);
    say(`${count(records, 'record')} in ${count(names.length, 'model')}, answering at ${simulator.baseUrl}`);
    const children = createChildren(directory, {
      DATA_DIR: directory,
      FLOWLU_BASE_URL: simulator.baseUrl,
      FLOWLU_API_KEY: simulator.apiKey,
      FLOWLU_REQUESTS_PER_SECOND: '50',
      FLOWLU_TIMEZONE: 'Europe/Berlin',
      WEBHOOK_SECRET: SECRET,
      RECONCILE_INTERVAL: '5s',
      SWEEP_INTERVAL: '1h',
      SETTLE_GRACE: '1s',
    });

    heading('Backfill: everything through the API into an embedded PostgreSQL');
    await children.run(['backfill'], signal);
    signal.throwIfAborted();
    // The port that the documentation speaks of, or any other when somebody has it.
    service = await children.serve(signal, flags.port ?? 8787).catch((error) => {
      if (flags.port !== undefined || signal.aborted) throw error;
      return children.serve(signal, 0);
    });
    const sql = connect(database.url, { applicationName: 'flowlu-mirror demo', max: 1 });
    try {
      if (flags.still !== true) await showOneChange(sql, service, simulator);
    } finally {
      await sql.end({ timeout: 5 });
    }
    printAddresses(service, database.url, flags);
    const among = names.filter((name) => !name.startsWith('customfields.') && name !== BEYOND_REPAIR);
    await changeAtRandom(simulator, service, { ...flags, random: randomFrom(flags.seed), among }, signal);
    if (hangUp.signal.aborted) return EXIT.interrupted;

    heading('What was lost is found again: a full sweep, then every row compared');
    await children.run(
      ['reconcile', '--full'],
      AbortSignal.any([hangUp.signal, AbortSignal.timeout(COMPARE_MAX_MS)]),
      'ignore',
    );
    const { rows, live, deleted, differences, undecided } = await compareWithSource(database.url, portal, names);
    say(
      `${count(rows, 'record')} in the portal, ${count(live - undecided.length, 'live row')} of them in the mirror, ${count(deleted)} kept as deleted`,
    );
    for (const difference of differences.slice(0, 10)) say(`DIFFERENT  ${difference}`);
    if (undecided.length > 0) say(`${count(undecided.length, 'more row')} in the mirror, ${UNCONFIRMED}`);
    const open = undecided.length === 0 ? '' : `, but for the ${count(undecided.length, 'row')} to be confirmed`;
    say(
      differences.length === 0 ? `Source and mirror are equal${open}.` : `${count(differences.length, 'difference')}.`,
    );
    return differences.length === 0 ? EXIT.done : EXIT.failed;
  } finally {
    await service?.stop();
    await simulator?.close();
    await database.close();
    await discard();
  }
}

/** One change on its way: from the portal by webhook into the table. */
async function showOneChange(sql: Sql, { url }: Service, { portal, webhooks }: Simulator): Promise<void> {
  heading('One change');
  webhooks.configure({ url: `${url}/webhooks/flowlu/${SECRET}`, mode: 'live' });
  const [deal] = await sql<{ id: string; name: string }[]>`
    select id::text as id, name from flowlu_live.crm_lead order by id desc limit 1`;
  if (deal === undefined) return;
  const name = `${deal.name}, renamed`;
  const changedAt = performance.now();
  portal.update('crm.lead', Number(deal.id), { name });
  say(`Deal ${deal.id} is renamed in the portal: "${name}"`);
  const isThere = async () =>
    (await sql`select from flowlu_live.crm_lead where id = ${deal.id} and name = ${name}`).length;
  while ((await isThere()) === 0 && performance.now() - changedAt < 10_000) await sleep(1);
  say(`deal ${deal.id} → in the table after ${Math.round(performance.now() - changedAt)} ms`);
}

function printAddresses({ url }: Service, databaseUrl: string, { still = false, seconds }: DemoFlags): void {
  heading(
    still
      ? 'A portal in which nothing changes, to be asked at leisure'
      : 'Live changes: 5 % of the webhooks are lost, 10 % come twice, all are shuffled',
  );
  say(`Status page   ${url}/status`);
  say(`PostgreSQL    ${databaseUrl}`);
  say(
    `Try           psql '${databaseUrl}' -c 'select name, budget from flowlu_live.crm_lead order by budget desc limit 5'`,
  );
  if (seconds === undefined) say('Ctrl-C ends the demonstration with a comparison.');
}

/** Changes in the portal, announced by webhooks of which some are lost, repeated or out of order. */
async function changeAtRandom(
  { portal, webhooks }: Simulator,
  { url }: Service,
  options: DemoFlags & { readonly random: unknown; readonly among: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  const { random, among, seconds = Number.POSITIVE_INFINITY, still = false } = options;
  webhooks.configure({
    url: `${url}/webhooks/flowlu/${SECRET}`,
    mode: 'live',
    dropRate: 0.05,
    duplicateRate: 0.1,
    disorder: { maxDelayMs: 400, window: 5 },
    retries: 3,
  });
  const endAt = performance.now() + seconds * 1_000;
  for (let tick = 1; performance.now() < endAt && !signal.aborted; tick += 1) {
    for (let change = 0; change < (still ? 0 : CHANGES_PER_SECOND); change += 1) portal.randomChange(random, among);
    await sleep(1_000, undefined, { signal }).catch(() => {});
    if (tick % 5 === 0 && !still) {
      const { sent, dropped, duplicated } = webhooks.stats;
      say(
        `${count(portal.changes.length, 'change')}: ${count(sent, 'webhook')} sent, ${dropped} lost, ${duplicated} sent twice`,
      );
    }
  }
  await webhooks.drain();
}

function heading(text: string): void {
  printLine(`\n${coloursOf(process.stdout).bold(text)}`);
}

const startedAt = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6);
  printLine(`${coloursOf(process.stdout).dim(`${seconds} s`)}  ${text}`);
}
