/**
 * A pool that replaces itself when it has lost a connection.
 *
 * A connection of the driver that breaks in an unlucky moment keeps a half-written message, and with it fails again and
 * again after it has been reopened. So what is asked from then on goes to a new pool; the old one answers what is under
 * way, or rejects it when its time is over.
 */
import type { Sql } from 'postgres';
import { isQuery, owned } from './repeats.ts';

/** How long statements on the other connections of a replaced pool may go on. */
const REPLACED_MAX_SECONDS = 5;

/** What can be done to a pool from outside. */
interface Pool {
  /** Goes on without prepared statements, since the server does not keep them. */
  readonly forgoStatements: () => void;
}

const pools = new WeakMap<Sql, Pool>();

/** What belongs to a pool that `renewablePool` has made. */
export function poolOf(sql: Sql): Pool {
  const pool = pools.get(sql);
  if (pool === undefined) throw new TypeError('not a pool of ours');
  return pool;
}

/**
 * Makes the pool again with `open` whenever the `onLost` that was handed to it is called.
 * @param onPooler called when the server turns out to forget prepared statements
 */
export function renewablePool(
  open: (onLost: () => void, lacksStatements: boolean) => Sql,
  onPooler: (() => void) | undefined,
): Sql {
  const leaving = new Set<Promise<unknown>>();
  let ended = false;
  let lacksStatements = false;
  let current = make();

  function make(): Sql {
    const pool = open(() => {
      if (ended || pool !== current) return;
      current = make();
      const end = pool.end({ timeout: REPLACED_MAX_SECONDS }).finally(() => leaving.delete(end));
      leaving.add(end);
    }, lacksStatements);
    return pool;
  }

  async function end(options?: { timeout?: number }): Promise<void> {
    ended = true;
    await Promise.all([current.end(options), ...leaving]);
  }

  function forgoStatements(): void {
    if (lacksStatements) return;
    lacksStatements = true;
    // The driver looks at this with each statement; its type says that it does not change.
    (current.options as { prepare: boolean }).prepare = false;
    onPooler?.();
  }

  const owner = { isTransaction: false, onForgotten: forgoStatements };
  const own = <T>(made: T): T => (isQuery(made) ? owned(made, owner) : made);
  const proxy: Sql = new Proxy(current, {
    apply: (_target, _this, args) => own(Reflect.apply(current, undefined, args)),
    get: (_target, property) => {
      if (property === 'end') return end;
      if (property === 'unsafe') return (...args: Parameters<Sql['unsafe']>) => own(current.unsafe(...args));
      return Reflect.get(current, property);
    },
  });
  pools.set(proxy, { forgoStatements });
  return proxy;
}
