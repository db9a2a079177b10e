/** How a command ends. Scripts depend on these numbers. */
export const EXIT = {
  done: 0,
  /** Something failed; the message says what. */
  failed: 1,
  /** Wrong usage or configuration; nothing was done. */
  usage: 2,
  /** Finished, but a difference, a guard or an unhealthy check was found. */
  finding: 3,
  /** Interrupted by the user; the state is safe and the command can be repeated. */
  interrupted: 130,
} as const;

/** What asks a command to stop. SIGHUP: the terminal was closed. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
