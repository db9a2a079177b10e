/** The simulated portal that the package brings. It shares no code with us, so only what is used of it is described. */
import { UsageError } from '../core/errors.ts';

export interface Simulator {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly portal: {
    readonly changes: readonly unknown[];
    count(model: string): number;
    update(model: string, id: number, fields: Readonly<Record<string, string>>): unknown;
    randomChange(random: unknown, among: readonly string[]): unknown;
  };
  readonly webhooks: {
    configure(options: object): void;
    readonly stats: { readonly sent: number; readonly dropped: number; readonly duplicated: number };
    drain(): Promise<void>;
  };
  close(): Promise<void>;
}

export interface Comparison {
  readonly rows: number;
  readonly live: number;
  readonly deleted: number;
  readonly differences: readonly string[];
  readonly undecided: readonly string[];
}

interface Parts {
  readonly startSimulator: (options: object) => Promise<Simulator>;
  readonly randomFrom: (seed: number) => unknown;
  readonly models: readonly { readonly module: string; readonly model: string }[];
  readonly compareWithSource: (url: string, portal: unknown, names: readonly string[]) => Promise<Comparison>;
}

/** @throws UsageError where it was not built, as in the container image. */
export async function loadSimulator(): Promise<Parts> {
  const part = (name: string) => import(new URL(`../simulator/${name}.js`, import.meta.url).href);
  try {
    const [index, random, catalog, compare] = await Promise.all(['index', 'random', 'catalog', 'compare'].map(part));
    return { ...index, ...random, ...catalog, ...compare };
  } catch (error) {
    throw new UsageError('the demonstration is not part of this installation; the package from npm has it', {
      cause: error,
    });
  }
}
