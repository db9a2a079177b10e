/** The portal of `freshness.ts` in a process of its own, whose clock tells when requests arrive, however busy the others are. */
import { type Change, type Simulator, type SimulatorOptions, startSimulator } from '../test/simulator/index.ts';
import { type Random, randomFrom } from '../test/simulator/random.ts';
import { answerJobs, startWorker } from './worker.ts';

/** One property of these at a time. */
export interface PortalJob {
  readonly start?: SimulatorOptions;
  /** Changes something in one of these models. */
  readonly change?: readonly string[];
  /** Ids of a page, without asking the server, which counts requests. */
  readonly page?: { readonly name: string; readonly page: number; readonly size: number };
  /** Forgets the requests so far. */
  readonly clear?: true;
}
export interface PortalReply {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly change: { readonly subject: Pick<Change, 'name' | 'id' | 'action'>; readonly body: string } | null;
  readonly ids: readonly string[];
  readonly requests: number;
  /** Most of them within any second. */
  readonly busiest: number;
}

let portal: Simulator | undefined;
let random: Random = randomFrom(1);

async function answer(job: PortalJob): Promise<PortalReply> {
  if (job.start) random = randomFrom(job.start.seed ?? 1);
  portal ??= await startSimulator(job.start);
  if (job.clear) portal.requests.clear();
  const change = job.change ? portal.portal.randomChange(random, job.change) : null;
  const { name = '', page = 1, size = 0 } = job.page ?? {};
  const rows = job.page ? [...portal.portal.rows(name)].slice((page - 1) * size, page * size) : [];
  return {
    baseUrl: portal.baseUrl,
    apiKey: portal.apiKey,
    change: change && {
      subject: { name: change.name, id: change.id, action: change.action },
      body: portal.webhooks.body(change),
    },
    ids: rows.map(({ id }) => String(id)),
    requests: portal.requests.total(),
    busiest: portal.requests.maxPerSecond(),
  };
}

if (process.send) answerJobs(answer);

/** Starts one; jobs wait for each other. */
export async function startPortalProcess(options: SimulatorOptions) {
  const worker = startWorker<PortalJob, PortalReply>(new URL(import.meta.url));
  const { baseUrl, apiKey } = await worker.run({ start: options });
  let last: Promise<unknown> = Promise.resolve();
  return {
    baseUrl,
    apiKey,
    ask(job: PortalJob): Promise<PortalReply> {
      const reply = last.then(() => worker.run(job));
      last = reply.catch(() => {});
      return reply;
    },
    stop: () => worker.stop(),
  };
}
