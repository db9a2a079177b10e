/** Folds observations of one entity through the rule in order of arrival. Pure. */
import type { Model } from '../../catalog/types.ts';
import type { JsonObject } from '../../core/json.ts';
import { contentHash, type Shape } from '../../record/record.ts';
import { credible, type Version, versionOf } from '../../record/version.ts';
import type { Zone } from '../../record/zone.ts';
import { decide } from './decide.ts';
import type { Announced, Earlier, NextRow, Observation, Row, Surroundings, Verdict } from './observation.ts';
import { respell, SPELLING, type WebhookTexts } from './spelling.ts';

export interface FoldContext {
  readonly model: Model | null;
  readonly shape: Shape;
  readonly zone: Zone;
  readonly settleGrace: Surroundings['settleGrace'];
  /** How the portal's webhooks are known to spell texts. */
  readonly texts?: WebhookTexts;
}

export interface Folded {
  /** The row to write, or null if it stays as it is. */
  readonly row: Row | null;
  /** One verdict per observation, in their order. */
  readonly verdicts: readonly Verdict[];
  /** The row made by each verdict, or null if it left the row unchanged. */
  readonly rows: readonly (Row | null)[];
  /** What the observations show about the portal's webhooks. */
  readonly texts: WebhookTexts;
  /** The id of an earlier delivery whose record must be read before folding again. */
  readonly needs?: string;
}

/** Folds `seen` into `row`; `earlier` are the deliveries already in the ledger. */
export function fold(
  row: Row | null,
  seen: readonly Observation[],
  earlier: readonly Earlier[],
  context: FoldContext,
): Folded {
  let current = row;
  let known = earlier;
  const verdicts: Verdict[] = [];
  const rows: (Row | null)[] = [];
  let texts: WebhookTexts = null;
  const { shape, settleGrace } = context;
  for (const arrived of seen) {
    const spelt = respell(arrived, current, shape, texts ?? context.texts ?? null);
    const one = spelt.observation;
    texts = spelt.shows ?? texts;
    const decided = decide(current, one, { shape, settleGrace, earlier: known });
    if (decided.needs !== undefined) return { row: null, verdicts, rows, texts, needs: decided.needs };
    const verdict =
      spelt.isUnclear && decided.row !== null ? { ...decided, doubt: decided.doubt ?? SPELLING } : decided;
    const made = verdict.row === null ? null : completeRow(verdict.row, context);
    verdicts.push(verdict);
    rows.push(made);
    current = made ?? current;
    if (one.says === 'announced') {
      known = [...known, { link: one.link, version: one.version, record: one.record }];
    }
  }
  return { row: current === row ? null : current, verdicts, rows, texts };
}

export function completeRow(row: NextRow, context: Pick<FoldContext, 'model' | 'shape' | 'zone'>): Row {
  return {
    ...row,
    version: rowVersion(row.record, row.observedAt, context),
    hash: contentHash(context.shape, row.record),
  };
}

/** The version by which a stored record is compared. */
export function rowVersion(
  record: JsonObject,
  observedAt: number,
  context: Pick<FoldContext, 'model' | 'zone'>,
): Version {
  return credible(versionOf(context.model, record, context.zone), observedAt);
}

/** Whether folding may meet a tie, so that earlier deliveries must first be read from the ledger. */
export function mayTie(row: Row | null, seen: readonly Observation[]): boolean {
  const announced = seen.filter((one): one is Announced => one.says === 'announced');
  const versions = [
    ...(row === null || row.deletedAt !== null ? [] : [row.version]),
    ...announced.map((a) => a.version),
  ];
  // Rows revived or created along the way get an announced version, so these versions cover every state.
  if (announced.length === 0 || versions.length < 2) return false;
  const orders = new Set(versions.map((version) => version?.order));
  return orders.size < versions.length || orders.has(undefined);
}
