/** Everything that can go wrong on purpose, each switchable while the simulator runs. */
import type { Random } from './random.ts';

/** Where and how often a fault strikes. All conditions must hold; without any it always strikes. */
export interface FaultRule<V = never> {
  /** `module.model` or `module.*`; default all. */
  models?: readonly string[];
  methods?: readonly ('list' | 'get')[];
  /** 0..1 */
  probability?: number;
  /** Strikes this many times more, then stops (counted down in place). */
  count?: number;
  /** Lets this many matching requests pass first (counted down in place). */
  skip?: number;
  /** Only where the answer would hold one of these ids. For faults in place of an answer. */
  ids?: readonly (number | string)[];
  /** Only where the query has a parameter whose name begins so. */
  parameter?: string;
  /** Only where the page would have more rows than this. For faults in place of an answer. */
  over?: number;
  /** What the fault needs to know; each fault documents its own. */
  value?: V;
}

export type Fault<V = never> = true | FaultRule<V>;

export interface Faults {
  // --- instead of an answer
  /** HTTP 429, plain text; value: Retry-After in seconds. */
  http429?: Fault<number>;
  /** HTML error pages. */
  http500?: Fault;
  http502?: Fault;
  /** value: Retry-After in seconds. */
  http503?: Fault<number>;
  http504?: Fault;
  /** HTTP 404 in HTML, as a web server answers that knows no such path. */
  http404?: Fault;
  /** A firewall in front of the portal; value: its status, default 403. */
  firewall?: Fault<403 | 503>;
  /** HTTP 401 with an error as a bare string. */
  http401?: Fault;
  /** HTTP 200 with an error code; value: the code, default 13. */
  errorCode?: Fault<number>;
  /** HTTP 200 with `error` as a string and a description. */
  errorString?: Fault;
  /** HTTP 200 with "Request rate per second exceeded". */
  throttleMessage?: Fault;
  htmlLogin?: Fault;
  /** 302 to another host, which records whether the key followed. */
  redirect?: Fault;
  /** The connection breaks half-way through the body. */
  resetMidBody?: Fault;
  /** No answer until the client gives up. */
  hang?: Fault;
  /** A complete HTTP answer whose JSON is cut. */
  truncatedJson?: Fault;
  emptyBody?: Fault;
  /** A name holds a byte that is no UTF-8. */
  invalidUtf8?: Fault;
  /** A list answers without rows; value: what its totals say, default what they ever say. */
  emptyList?: Fault<number>;
  /** value: milliseconds to wait before a normal answer. */
  slow?: Fault<number>;

  // --- lists
  /** value: which filters are ignored: all (default), date intervals, `more`, or all but an exact value. */
  ignoreFilters?: Fault<'all' | 'date' | 'more' | 'structured'>;
  /** Both totals count the whole model, whatever the filters. */
  wholeTotals?: Fault;
  /** Filters on date fields look at the day alone, or leave the bounds themselves out. */
  dateBounds?: Fault<'day' | 'exclusive'>;
  /** value: all (default), or only orders by other fields than id: rows come newest id first; shuffled: in no order. */
  ignoreOrder?: Fault<'all' | 'non-id' | 'shuffled'>;
  omitTotal?: Fault;
  omitTotalResult?: Fault;
  /** value: what both totals say, default 7. */
  wrongTotal?: Fault<number>;
  /** value: how many rows more than there are both totals count, default 37. */
  surplusTotal?: Fault<number>;
  /** value: highest limit that is honoured, default 50. */
  limitCap?: Fault<number>;
  /** value: rows of every page, whatever is asked for, default 25. */
  ignoreLimit?: Fault<number>;
  /** After each list answer a row with a low id really is removed (default) or inserted. */
  shiftPages?: Fault<'remove' | 'insert'>;
  /** Every page is the first one, for ever. */
  repeatFirstPage?: Fault;
  /** value: share (0..1) of the listing after which it ends, default 0.5. */
  cutListing?: Fault<number>;
  /** value: how many rows a page lacks although more follow, default 1. */
  shortPage?: Fault<number>;
  /** value: ids that lists leave out. */
  hideRows?: Fault<readonly (number | string)[]>;
  /** Lists leave out archived and inactive tasks and projects unless the filter asks for them. */
  hideArchived?: Fault;
  omitCustomFields?: Fault;
  /** `items` is an object keyed by position. */
  itemsAsObject?: Fault;

  // --- values (in list and get, and in webhooks, which count as `get`)
  numbersAsStrings?: Fault;
  idsAsStrings?: Fault;
  /** value: `boolean` (default) or `string`. Applies to documented flags. */
  flags?: Fault<'boolean' | 'string'>;
  /** value: how empty dates look; default "0000-00-00 00:00:00". */
  emptyDates?: Fault<'' | '0000-00-00' | '0000-00-00 00:00:00' | null>;
  /** `get` answers with a list envelope. */
  getAsItems?: Fault;

  // --- webhooks
  /** Texts in webhooks carry HTML entities and Windows' ends of lines. */
  webhookEntities?: Fault;
  /** Webhooks name models otherwise than the API does. */
  webhookNames?: Fault;

  // --- state
  /** Updates do not move the updated time. */
  frozenVersion?: Fault;
}

export type FaultName = keyof Faults;

/** Removes every fault. */
export function clearFaults(faults: Faults): void {
  for (const name of Object.keys(faults) as FaultName[]) delete faults[name];
}

/** What a fault is asked about. */
export interface Occasion {
  readonly model: string;
  readonly method: 'list' | 'get';
  /** The query, where the fault is about a request. */
  readonly query?: URLSearchParams;
  /** Ids of the rows that the answer would hold. */
  readonly rows?: () => readonly string[];
}

const covers = (models: readonly string[], model: string): boolean =>
  models.some((pattern) => pattern === model || (pattern.endsWith('.*') && model.startsWith(pattern.slice(0, -1))));

function strikes(rule: FaultRule<unknown>, occasion: Occasion, random: Random): boolean {
  if (rule.models !== undefined && !covers(rule.models, occasion.model)) return false;
  if (rule.methods !== undefined && !rule.methods.includes(occasion.method)) return false;
  const { parameter, ids, over } = rule;
  if (parameter !== undefined && ![...(occasion.query?.keys() ?? [])].some((key) => key.startsWith(parameter)))
    return false;
  if (ids !== undefined && !occasion.rows?.().some((id) => ids.map(String).includes(id))) return false;
  if (over !== undefined && (occasion.rows?.().length ?? 0) <= over) return false;
  if (rule.skip !== undefined && rule.skip > 0) {
    rule.skip--;
    return false;
  }
  if (rule.count !== undefined && rule.count <= 0) return false;
  if (rule.probability !== undefined && random() >= rule.probability) return false;
  if (rule.count !== undefined) rule.count--;
  return true;
}

type ValueOf<F> = Extract<NonNullable<F>, object> extends FaultRule<infer V> ? V : never;

/** Answers for one occasion whether a fault strikes; asking counts. */
export interface FaultCheck {
  hits(name: FaultName): boolean;
  /** The fault's value when it strikes (or `fallback` where none is set), else undefined. */
  value<N extends FaultName>(name: N, fallback: ValueOf<Faults[N]>): ValueOf<Faults[N]> | undefined;
}

export function faultCheck(faults: Faults, occasion: Occasion, random: Random): FaultCheck {
  const hits = (name: FaultName): boolean => {
    const fault = faults[name];
    return fault !== undefined && (fault === true || strikes(fault as FaultRule<unknown>, occasion, random));
  };
  return {
    hits,
    value: (name, fallback) => {
      if (!hits(name)) return undefined;
      const fault = faults[name] as Fault<typeof fallback>;
      return fault === true || fault.value === undefined ? fallback : fault.value;
    },
  };
}
