/**
 * The source of truth of the convergence tests: a portal in memory, read through the client's interface. Answers
 * show the portal as it stood when the request was sent, and may arrive long after that.
 */

import type { JsonObject } from '../../src/core/json.ts';
import type { Micros } from '../../src/core/time.ts';
import type { FlowluClient, ListAnswer } from '../../src/flowlu/client.ts';
import { FlowluError, NotFoundError } from '../../src/flowlu/errors.ts';
import type { ListedModel, ListQuery } from '../../src/flowlu/url.ts';
import type { Fault } from './histories.ts';
import { CUSTOM_FIELDS, SPECIES, type Species, type State, spell } from './species.ts';

/** Rows on a page, whatever is asked for: small, so that few records make several pages. */
const PAGE_SIZE = 4;

/** A record of the portal. */
export interface Being {
  readonly species: Species;
  readonly id: number;
  state: State;
  alive: boolean;
  /** Merged into another one: lists leave it out, `get` still finds it. */
  merged: boolean;
  /** Second of its deletion on the portal's clock, as the database's clock tells it. */
  deletedAtSeconds: number | null;
}

export interface Source {
  readonly beings: Map<string, Being[]>;
  fault: Fault;
  /** Lists in an order of its own, ignores filters and counts everything. */
  asSeen: boolean;
  /** Answers as if no date interval had been asked for. */
  ignoresIntervals: boolean;
  add(being: Being): void;
  /** A client whose answers are so many phases late, one after the other. */
  client(lateness: readonly number[]): FlowluClient;
  /** Lets requests go on that waited for this phase. */
  nextPhase(): void;
  /** From now on nothing waits. */
  release(): void;
}

interface Listed {
  readonly id: number;
  readonly record: JsonObject;
  readonly version: string;
}

/** Makes a portal; `clock` is asked before each request, as the product's own pace is. */
export function createSource(clock: () => Promise<Micros>): Source {
  const beings = new Map<string, Being[]>(SPECIES.map(({ name }) => [name, []]));
  let waiting: { phases: number; go: () => void }[] = [];
  let released = false;

  const late = (phases: number) =>
    phases === 0 || released ? Promise.resolve() : new Promise<void>((go) => waiting.push({ phases, go }));

  const source: Source = {
    beings,
    fault: 'none',
    asSeen: false,
    ignoresIntervals: false,
    add: (being) => beings.get(being.species.name)?.push(being),
    client(lateness) {
      let requests = 0;
      const latenessOf = () => lateness[requests++ % lateness.length] ?? 0;
      return {
        async list(model, query) {
          const phases = latenessOf();
          const observedAt = await clock();
          const answer = list(source, model, query, observedAt);
          await late(phases);
          if (answer instanceof Error) throw answer;
          return answer;
        },
        async get(model, id) {
          const phases = latenessOf();
          const observedAt = await clock();
          const answer = get(source, model.name, id as string, observedAt);
          await late(phases);
          if (answer instanceof Error) throw answer;
          return { record: answer, observedAt, requests: 1 };
        },
      };
    },
    nextPhase() {
      const due = waiting.filter((one) => one.phases <= 1);
      waiting = waiting.filter((one) => one.phases > 1).map((one) => ({ ...one, phases: one.phases - 1 }));
      for (const { go } of due) go();
    },
    release() {
      released = true;
      for (const { go } of waiting) go();
      waiting = [];
    },
  };
  return source;
}

function isHidden(fault: Fault, id: number): boolean {
  return (fault === 'hidden' || fault === 'hidden and denied') && id % 3 === 0;
}

function list(source: Source, model: ListedModel, query: ListQuery, observedAt: Micros): ListAnswer | FlowluError {
  const { fault } = source;
  if (fault === 'denied') return new FlowluError('forbidden', 'access denied', { status: 200, code: 22 });
  if (fault === 'failing') return new FlowluError('server', 'HTTP 502', { status: 502 });
  if (fault === 'absent' || fault === 'unlisted') return new FlowluError('unknown_module', 'error 31', { code: 31 });
  if (fault === 'no path') return new FlowluError('unknown_module', 'not in this portal (HTTP 404)', { status: 404 });
  const ignoresFilter = source.asSeen || fault === 'filter ignored';
  const from = query.filters?.id;
  const after = !ignoresFilter && typeof from === 'object' && 'value' in from ? BigInt(from.value) : null;
  const [interval] = Object.entries(query.filters ?? {}).filter(([field]) => field !== 'id');
  const since =
    !ignoresFilter &&
    !source.ignoresIntervals &&
    interval &&
    typeof interval[1] === 'object' &&
    'start_date' in interval[1];
  const startDate = since ? String((interval[1] as { start_date?: string }).start_date) : '';
  const rows = listed(source, model.name)
    .filter(({ id }) => !isHidden(fault, id))
    .filter(({ id }) => after === null || BigInt(id) > after)
    .filter(({ version }) => startDate === '' || version >= startDate);
  const newestFirst = { field: 'id', direction: 'desc' } as const;
  const { field = 'id', direction = 'asc' } = source.asSeen ? newestFirst : (query.orderBy ?? {});
  rows.sort((a, b) => (field === 'id' ? a.id - b.id : a.version < b.version ? -1 : a.version > b.version ? 1 : 0));
  if (direction === 'desc') rows.reverse();
  const size = Math.min(query.limit ?? PAGE_SIZE, PAGE_SIZE);
  const begin = ((query.page ?? 1) - 1) * size;
  const cut = fault === 'cut' && (after !== null || begin > 0);
  const page = cut ? [] : rows.slice(begin, begin + size);
  const total = fault === 'cut' ? null : rows.length;
  return { items: page.map(({ record }) => record), total, ordered: true, observedAt, requests: 1 };
}

function listed({ beings }: Source, model: string): Listed[] {
  if (model === 'customfields.fields') {
    return CUSTOM_FIELDS.map((record) => ({ id: Number(record.id), record, version: '' }));
  }
  return (beings.get(model) ?? [])
    .filter(({ alive, merged }) => alive && !merged)
    .map(({ species, id, state }) => ({ id, record: spell(species, id, state, 'list'), version: state.changed }));
}

function get({ beings, fault }: Source, model: string, id: string, observedAt: Micros): JsonObject | FlowluError {
  if (fault === 'denied' || fault === 'listed only' || (fault === 'hidden and denied' && isHidden(fault, Number(id)))) {
    // In the portal's own language: what was refused is told by the kind.
    return new FlowluError('forbidden', 'kein Zugriff', { status: 200, code: 22 });
  }
  if (fault === 'failing') return new FlowluError('server', 'HTTP 502', { status: 502 });
  if (fault === 'absent') return new FlowluError('unknown_method', 'error 30, unknown method', { code: 30 });
  if (fault === 'no path') return new FlowluError('protocol', 'HTTP 404', { status: 404, garbled: true });
  const custom = model === 'customfields.fields' ? CUSTOM_FIELDS.find((one) => String(one.id) === id) : undefined;
  if (custom !== undefined) return custom;
  const being = beings.get(model)?.find((one) => String(one.id) === id);
  if (being?.alive) return spell(being.species, being.id, being.state, 'get');
  return new NotFoundError('error 20, not found', observedAt, { status: 200, code: 20 });
}
