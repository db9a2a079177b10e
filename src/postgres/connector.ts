/**
 * Where connections come from: the driver is handed sockets that are ready, whichever of several hosts they lead to, and
 * whether TLS is below or not.
 *
 * The driver's own way differs with each of these: under TLS it removes our listeners, several hosts it tries without
 * pause or end (github.com/porsager/postgres/issues/1174 and 1179), and what fails while it connects may be lost.
 */
import { Socket } from 'node:net';
import { type SocketEvents, watchSocket } from './driver-socket.ts';
import { readOnlyServer } from './errors.ts';
import { closedEarly, hasOtherWay, nameOf, openSocket, silent } from './socket.ts';
import { SQLSTATE } from './sqlstates.ts';
import type { Host, ServerKind, Target } from './url.ts';

/** How long a host may take to answer before the next one is tried, unless the connection string says otherwise. */
const HOST_MAX_SECONDS = 3;
/** How long a host that has failed is left alone: at first, and after many failures. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 1_000;

interface Known {
  readonly host: Host;
  /** Why it could not be used when it was last tried. */
  failure: (Error & { readonly code?: string }) | null;
  /** How often in a row that was. */
  failures: number;
  pausedUntilMs: number;
  /** Whether it has refused the first of two ways, with TLS and without. */
  isOtherWay: boolean;
  /** An attempt to use it again after a failure; there is one at a time. */
  probe: Promise<void> | null;
}

interface Pool {
  readonly onLost: () => void;
  readonly ended: AbortSignal;
}

export interface Sockets {
  /** For the driver's `socket` option. Never rejects: the driver would lose the place of this connection in its pool. */
  open(): Promise<Socket>;
  end(): void;
}

/**
 * Makes the sockets of each pool to the hosts of a connection string; `onLost` is called when a connection that was in
 * use breaks, before the driver learns of it.
 */
export function createConnector({ hosts, tls, kind, connectTimeoutSeconds = HOST_MAX_SECONDS }: Target) {
  const unknown = { failure: null, failures: 0, pausedUntilMs: 0, isOtherWay: false, probe: null };
  const known = hosts.map((host): Known => ({ host, ...unknown }));
  const limitMs = connectTimeoutSeconds * 1_000;
  /** The one that worked last: a request to cancel a statement must go where the statement runs. */
  let last: Known | null = null;
  const isPaused = ({ pausedUntilMs }: Known) => performance.now() < pausedUntilMs;

  function refuse(one: Known, failure: Error): void {
    one.failure = failure;
    one.pausedUntilMs = performance.now() + Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** one.failures);
    one.failures = Math.min(one.failures + 1, 8);
  }

  /** What is wrong with a server that has let us in; null where nothing is. */
  function unfit(parameters: ReadonlyMap<string, string>, one: Known): Error | null {
    const isLastHope = known.every((other) => other === one || isPaused(other));
    return FITS[kind](parameters, isLastHope) ? null : unfitServer(one.host, kind, parameters);
  }

  function handOver(
    socket: Socket,
    one: Known,
    isOtherWay: boolean,
    { onLost, ended }: Pool,
    probed: () => void,
  ): Socket {
    /** Without an error, the driver connects again by itself: to the next host. */
    const failed = (failure: Error) => {
      // What we have closed ourselves says nothing about the host.
      if (!ended.aborted) refuse(one, failure);
      return known.every(isPaused) ? 'tell' : 'go on';
    };
    const events: SocketEvents = {
      onOutcome(outcome) {
        probed();
        if (outcome.kind === 'refused') {
          one.isOtherWay = !isOtherWay && hasOtherWay(one.host, tls, socket, outcome.code);
          if (one.isOtherWay) return 'go on';
          // A pooler that wants to be asked in other words, at once.
          if (outcome.code === SQLSTATE.protocolViolation) return 'tell';
          const { code, message } = outcome;
          const verdict = failed(Object.assign(new Error(`${nameOf(one.host)}: ${message}`), { code }));
          // Starting, stopping, or a standby that takes no connections: another host may.
          return code === SQLSTATE.cannotConnectNow ? verdict : 'tell';
        }
        const failure = unfit(outcome.parameters, one);
        if (failure !== null) {
          failed(failure);
          return 'go on';
        }
        Object.assign(one, { failure: null, failures: 0, pausedUntilMs: 0 });
        last = one;
        return 'tell';
      },
      onFailure: failed,
      onLost,
      onClosed: probed,
    };
    watchSocket(socket, events, { limitMs, late: () => silent(one.host, limitMs), early: () => closedEarly(one.host) });
    // The driver reads both for its messages.
    return Object.assign(socket, { host: one.host.name, port: one.host.port });
  }

  async function openOne(one: Known, pool: Pool): Promise<Socket> {
    const { ended } = pool;
    let probed = () => {};
    if (one.failure !== null) {
      one.probe = new Promise((resolve) => {
        probed = () => {
          one.probe = null;
          resolve();
        };
      });
    }
    const limit = AbortSignal.timeout(limitMs);
    const { isOtherWay } = one;
    try {
      const socket = await openSocket(one.host, tls, isOtherWay, AbortSignal.any([ended, limit]));
      return handOver(socket, one, isOtherWay, pool, probed);
    } catch (error) {
      probed();
      const failure = error === limit.reason ? silent(one.host, limitMs) : (error as Error);
      if (!ended.aborted) refuse(one, failure);
      throw failure;
    }
  }

  async function openAny(pool: Pool): Promise<Socket> {
    const failures: Error[] = [];
    for (const one of last === null ? known : [last, ...known.filter((other) => other !== last)]) {
      while (one.probe !== null) await one.probe;
      pool.ended.throwIfAborted();
      if (isPaused(one)) {
        if (one.failure !== null) failures.push(one.failure);
        continue;
      }
      try {
        return await openOne(one, pool);
      } catch (error) {
        failures.push(error as Error);
      }
    }
    throw failureOf(failures);
  }

  return (onLost: () => void): Sockets => {
    const open = new Set<Socket>();
    const ended = new AbortController();
    return {
      async open() {
        try {
          const socket = await openAny({ onLost, ended: ended.signal });
          open.add(socket);
          socket.once('close', () => open.delete(socket));
          // It may have ended in between.
          ended.signal.throwIfAborted();
          return socket;
        } catch (error) {
          return brokenSocket(error as Error);
        }
      },
      end() {
        ended.abort(Object.assign(new Error('the pool has ended'), { code: 'CONNECTION_ENDED' }));
        for (const socket of open) socket.destroy();
      },
    };
  };
}

/**
 * A socket that fails once the driver writes to it. Were it to fail before, the message would stay with the driver, and
 * nothing could be sent on this place of the pool any more.
 */
function brokenSocket(error: Error): Socket {
  const socket = new Socket();
  socket.write = () => {
    process.nextTick(() => socket.destroy(error));
    return true;
  };
  return socket;
}

/** Whether a server will do. What a server does not say is taken for granted; it will refuse what it cannot do. */
const FITS: Readonly<Record<ServerKind, (is: ReadonlyMap<string, string>, isLastHope: boolean) => boolean>> = {
  any: () => true,
  'read-write': (is) => is.get('in_hot_standby') !== 'on' && is.get('default_transaction_read_only') !== 'on',
  'read-only': (is) => is.get('in_hot_standby') !== 'off' || is.get('default_transaction_read_only') !== 'off',
  primary: (is) => is.get('in_hot_standby') !== 'on',
  standby: (is) => is.get('in_hot_standby') !== 'off',
  'prefer-standby': (is, isLastHope) => isLastHope || is.get('in_hot_standby') !== 'off',
};

function unfitServer(host: Host, kind: ServerKind, parameters: ReadonlyMap<string, string>): Error {
  if (kind === 'read-write' || kind === 'primary') return readOnlyServer(parameters, nameOf(host));
  const error = new Error(
    `${nameOf(host)} takes writes, but target_session_attrs=${kind} demands a server that does not`,
  );
  return Object.assign(error, { code: 'WRONG_SERVER' });
}

/** One error for the caller, who may add to it: never one that others have. */
function failureOf(failures: readonly Error[]): Error {
  const [first] = failures;
  const text = failures.map(({ message }) => message).join('; ');
  const code = (first as { code?: string } | undefined)?.code;
  const error = failures.length > 1 ? new AggregateError(failures, text) : new Error(text, { cause: first });
  return code === undefined ? error : Object.assign(error, { code });
}
