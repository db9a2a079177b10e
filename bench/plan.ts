/** How long and how often each thing is measured. */

export interface Plan {
  readonly form: 'quick' | 'full';
  /** Rounds of every measure; in each round all sides take their turn. */
  readonly rounds: number;
  readonly webhooks: {
    /** Length of one turn. */
    readonly seconds: number;
    readonly warmUpSeconds: number;
    readonly lagSeconds: number;
  };
  readonly bulk: {
    /** Rows of all models together, per turn. */
    readonly rows: number;
    /** The peer is so much slower that fewer rows take as long. */
    readonly peerRows: number;
  };
  readonly pace: { readonly requestsPerSecond: number; readonly requests: number };
  readonly memory: { readonly rows: number };
}

/** Under five minutes on two cores. */
export const QUICK: Plan = {
  form: 'quick',
  rounds: 5,
  webhooks: { seconds: 1.2, warmUpSeconds: 2, lagSeconds: 1.5 },
  bulk: { rows: 24_000, peerRows: 1_500 },
  pace: { requestsPerSecond: 50, requests: 150 },
  memory: { rows: 150_000 },
};

/** For figures to quote: some eighteen minutes, and ten gigabytes of disk. */
export const FULL: Plan = {
  form: 'full',
  rounds: 5,
  webhooks: { seconds: 4, warmUpSeconds: 6, lagSeconds: 3 },
  bulk: { rows: 120_000, peerRows: 10_000 },
  pace: { requestsPerSecond: 50, requests: 500 },
  memory: { rows: 1_000_000 },
};
