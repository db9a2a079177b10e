/** What the simulator's own tests share: starting one, and asking it as a client would. */
import { afterEach } from 'vitest';
import { type Simulator, type SimulatorOptions, startSimulator } from './index.ts';

export interface Page {
  total?: number;
  total_result?: number;
  page: number;
  count: number;
  items: Record<string, unknown>[];
}

const cleanups: (() => unknown)[] = [];
/** Runs `cleanup` when the current test is over. */
export const onEnd = (cleanup: () => unknown): number => cleanups.push(cleanup);

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export async function start(options?: SimulatorOptions): Promise<Simulator> {
  const sim = await startSimulator(options);
  cleanups.push(() => sim.close());
  return sim;
}

export function ask(sim: Simulator, path: string, query: Record<string, string> = {}): Promise<Response> {
  const search = new URLSearchParams({ ...query, api_key: sim.apiKey });
  return fetch(`${sim.baseUrl}/${path}?${search}`, { redirect: 'manual', signal: AbortSignal.timeout(2000) });
}

export async function list(sim: Simulator, model: string, query: Record<string, string> = {}): Promise<Page> {
  const answer = await (await ask(sim, `${model.replace('.', '/')}/list`, query)).json();
  return (answer as { response: Page }).response;
}

export const idsOf = ({ items }: Page): unknown[] => items.map(({ id }) => id);
export const more = (id: unknown): Record<string, string> => ({
  'filter[id]': JSON.stringify({ type: 'more', value: id }),
});
export const byId = { 'order_by[asc][]': 'id', limit: '100' };
export const sourceIds = (sim: Simulator, model: string): unknown[] => [...sim.portal.rows(model)].map(({ id }) => id);

export async function errorCode(sim: Simulator, path: string): Promise<unknown> {
  const answer = (await (await ask(sim, path)).json()) as { error?: { error_code: number } };
  return answer.error?.error_code;
}

export async function keysetIds(sim: Simulator, model: string): Promise<unknown[]> {
  const ids: unknown[] = [];
  for (;;) {
    const page = idsOf(await list(sim, model, { ...byId, ...more(ids.at(-1) ?? 0) }));
    ids.push(...page);
    if (page.length < 100) return ids;
  }
}
