/** What may happen to records, to their deliveries and to the requests of the mirror, as fast-check generates it. */
import fc from 'fast-check';
import type { Aspect } from './species.ts';
import { SPECIES } from './species.ts';

export const ROUNDS = 5;

/** How one delivery fares on its way. */
export interface Fate {
  readonly dropped: boolean;
  /** Arrives so many rounds after the change; once for each entry. */
  readonly delays: readonly number[];
  /** Decides the order among the deliveries of one moment. */
  readonly rank: number;
  readonly tellsPrevious: 'yes' | 'missing' | 'empty';
}

export interface Step {
  /** `toggle` goes back to the state before last. */
  readonly kind: 'change' | 'toggle' | 'touch' | 'merge' | 'delete';
  readonly aspect: Aspect;
  readonly value: number;
  readonly round: number;
  readonly fate: Fate;
}

/** The life of one record: one history. */
export interface Life {
  readonly species: number;
  /** Born before the mirror began; no webhook told of it. */
  readonly old: boolean;
  readonly bornIn: number;
  readonly birth: Fate;
  readonly steps: readonly Step[];
  /** What the scope of webhooks does not cover. */
  readonly omits: readonly Aspect[];
  /** From this round on, webhooks omit nothing any more. */
  readonly fullFrom: number;
  /** No delivery is lost on the way, whatever the fates say. */
  readonly lossless: boolean;
}

export interface Activity {
  readonly kind: 'sweep' | 'catchUp' | 'settle' | 'replay';
  readonly replica: 0 | 1;
  /** By how many phases answers are late. */
  readonly lateness: readonly number[];
}

export interface Round {
  /** Seconds on the portal's clock before it, and between the changes within it. */
  readonly secondsBefore: number;
  readonly secondsBetween: number;
  readonly activities: readonly Activity[];
  readonly batchSize: number;
  readonly fault: Fault;
}

/** What is wrong with lists in a round. */
export type Fault =
  | 'none'
  | 'hidden'
  | 'hidden and denied'
  | 'listed only'
  /** The model is not there: neither its list nor its records. */
  | 'absent'
  /** The same of a portal that says so by HTTP 404. */
  | 'no path'
  /** The model has no list, but its records are read. */
  | 'unlisted'
  | 'cut'
  | 'denied'
  | 'failing'
  | 'filter ignored';

export interface History {
  /** Index of the moment when it begins, among `STARTS`. */
  readonly start: number;
  /** False where custom fields are defined in the middle of it, so that their second names are learnt late. */
  readonly knowsCustomFields: boolean;
  /** The portal lists in an order of its own, ignores filters and counts everything. */
  readonly asSeen: boolean;
  readonly lives: readonly Life[];
  readonly rounds: readonly Round[];
}

/** A day without anything special, and minutes before the clock is set ahead and back. */
export const STARTS = ['2026-06-10T09:00:00Z', '2026-03-29T00:58:00Z', '2026-10-25T00:20:00Z'] as const;

const fate: fc.Arbitrary<Fate> = fc.record({
  dropped: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  delays: fc.oneof(
    { weight: 1, arbitrary: fc.constant([0]) },
    { weight: 1, arbitrary: fc.array(fc.nat({ max: ROUNDS }), { minLength: 1, maxLength: 2 }) },
  ),
  rank: fc.nat({ max: 99 }),
  tellsPrevious: fc.constantFrom('yes', 'yes', 'yes', 'yes', 'missing', 'empty'),
});

const aspect = fc.constantFrom<Aspect>('name', 'name', 'name', 'flag', 'link', 'amount', 'custom');

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('change', 'change', 'change', 'toggle', 'toggle', 'touch', 'merge', 'delete'),
  aspect,
  // Few values, so that states come again.
  value: fc.nat({ max: 2 }),
  round: fc.nat({ max: ROUNDS - 1 }),
  fate,
});

const life: fc.Arbitrary<Life> = fc.record({
  species: fc.nat({ max: SPECIES.length - 1 }),
  old: fc.constantFrom(false, false, true),
  bornIn: fc.nat({ max: 2 }),
  birth: fate,
  steps: fc.array(step, { maxLength: 6, size: 'max' }),
  omits: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.uniqueArray(fc.oneof(aspect, fc.constant<Aspect>('changed')), { maxLength: 2 }) },
  ),
  fullFrom: fc.constantFrom(ROUNDS, ROUNDS, 2),
  lossless: fc.boolean(),
});

const activity: fc.Arbitrary<Activity> = fc.record({
  kind: fc.constantFrom('sweep', 'catchUp', 'settle', 'replay'),
  replica: fc.constantFrom(0, 1),
  lateness: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 4 }),
});

const round = (fault: fc.Arbitrary<Fault>): fc.Arbitrary<Round> =>
  fc.record({
    secondsBefore: fc.constantFrom(0, 1, 5, 120, 1_900),
    secondsBetween: fc.constantFrom(0, 0, 0, 1),
    // At most one of a kind at a time: leases see to that in the product.
    activities: fc.uniqueArray(activity, { maxLength: 4, selector: ({ kind }) => kind }),
    batchSize: fc.integer({ min: 1, max: 40 }),
    fault,
  });

const faults = fc.constantFrom<Fault>(
  'none',
  'hidden',
  'hidden and denied',
  'cut',
  'denied',
  'failing',
  'filter ignored',
);

const rounds = fc.oneof(
  fc.array(round(fc.constant('none')), { minLength: ROUNDS, maxLength: ROUNDS }),
  fc.array(round(faults), { minLength: ROUNDS, maxLength: ROUNDS }),
);

/** Many records and what befalls them at the same time: as many histories in one go over one database. */
export const histories: fc.Arbitrary<History> = fc.record({
  start: fc.nat({ max: STARTS.length - 1 }),
  knowsCustomFields: fc.boolean(),
  asSeen: fc.boolean(),
  lives: fc.array(life, { minLength: 1, maxLength: 60, size: 'max' }),
  rounds,
});
