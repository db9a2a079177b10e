/** One line of the result: a figure of ours beside what it is compared with. */
import { median, range } from './statistics.ts';

export interface Goal {
  /** What the goal is about: the ratio, or our own figure. */
  readonly of: 'ratio' | 'ours';
  readonly bound: 'at least' | 'at most';
  readonly value: number;
}

export interface Measure {
  readonly group: 'webhooks' | 'bulk' | 'sweep' | 'pace' | 'memory' | 'history';
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly reference: { readonly name: string; readonly value: number } | null;
  /** Ours ÷ reference: the median over the rounds, each with both sides taken in it. */
  readonly ratio: number | null;
  /** Smallest and largest ratio of a round. */
  readonly ratioRange: readonly [number, number] | null;
  readonly goal: Goal | null;
  /** Null where there is no goal. */
  readonly reached: boolean | null;
}

type Subject = Pick<Measure, 'group' | 'name' | 'unit'>;

export const atLeast = (value: number, of: Goal['of'] = 'ratio'): Goal => ({ of, bound: 'at least', value });
export const atMost = (value: number, of: Goal['of'] = 'ratio'): Goal => ({ of, bound: 'at most', value });

/** Compares two sides round by round. */
export function compared(
  subject: Subject,
  ours: readonly number[],
  reference: { readonly name: string; readonly values: readonly number[] },
  goal: Goal | null,
): Measure {
  const ratios = ours.map((value, round) => value / (reference.values[round] ?? Number.NaN));
  const ratio = median(ratios);
  return {
    ...subject,
    ours: median(ours),
    reference: { name: reference.name, value: median(reference.values) },
    ratio,
    ratioRange: range(ratios),
    goal,
    reached: goal === null ? null : isReached(goal, goal.of === 'ratio' ? ratio : median(ours)),
  };
}

/** A figure that stands for itself. */
export function alone(subject: Subject, ours: readonly number[], goal: Goal | null): Measure {
  const value = median(ours);
  const reached = goal === null ? null : isReached(goal, value);
  return { ...subject, ours: value, reference: null, ratio: null, ratioRange: null, goal, reached };
}

function isReached({ bound, value }: Goal, figure: number): boolean {
  return bound === 'at least' ? figure >= value : figure <= value;
}
