/** Findings from what is counted: refused webhooks, and values that do not fit their columns. */
import { REFUSED_WORDS, type RefusedKind } from '../intake/refused.ts';
import { misfitQuery } from '../mirror-rows/reads.ts';
import type { Counted } from '../store/measurements.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { ageOf, count, listed } from './words.ts';

/** For so long it is told, and for so long even if deliveries have been taken since. */
const REFUSED_S = 24 * 3_600;
const REFUSED_AMONG_OTHERS_S = 3_600;

export function judgeRefused({ refused, deliveries, now }: Facts): readonly Finding[] {
  const isTold = ({ at }: Counted) => {
    const isAlone = !(Date.parse(deliveries.last_received_at ?? '') > Date.parse(at));
    return Date.parse(now) - Date.parse(at) < (isAlone ? REFUSED_S : REFUSED_AMONG_OTHERS_S) * 1_000;
  };
  return refused.filter(isTold).map((one) => refusedFinding(one, now));
}

export function refusedFinding({ name, count: requests, at }: Counted, now: string) {
  const { what, remedy } = REFUSED_WORDS[name as RefusedKind];
  return {
    code: 'webhooks_refused',
    severity: name === 'stranger' ? 'note' : 'care',
    since: null,
    sentence: `${what}: ${count(requests)} refused, the last ${ageOf(at, now)}`,
    remedy,
    command: 'flowlu-mirror doctor --webhook',
  } as const satisfies Finding;
}

export function judgeMisfits({ misfits }: Facts): Finding | null {
  const [most] = misfits;
  if (most === undefined) return null;
  const total = misfits.reduce((sum, one) => sum + one.count, 0);
  const named = misfits.map(({ model, name, count: values }) => `${model}.${name} (${count(values)})`);
  return {
    code: 'values_unfit',
    severity: 'note',
    since: null,
    sentence: `${count(total, 'value')} of Flowlu did not fit their columns, which hold null instead: ${listed(named, 8)}`,
    remedy: `\`_record\` keeps them: ${misfitQuery(most.model, most.name)}. The command counts them anew`,
    command: 'flowlu-mirror rebuild',
    models: [...new Set(misfits.map(({ model }) => model))],
  };
}
