/** How well webhooks announce changes in the portal: what they reported, compared with what was found without them. */
import { similarNames } from '../catalog/other-names.ts';
import { uncataloguedCounts } from '../mirror-rows/reads.ts';
import type { Queryable } from '../postgres/connection.ts';
import { type WebhookUse, webhookUse } from '../store/deliveries/reports.ts';
import { listedModels } from '../store/listings.ts';
import { foundChanges } from '../store/schedule.ts';

export interface Coverage extends Omit<WebhookUse, 'last_at'> {
  readonly last_at: string | null;
  /** Changes that were not announced before they were found. */
  readonly found: number;
  /** Share of announced changes among all that are known; null if nothing has changed. */
  readonly share: number | null;
  readonly told: string;
}

/** A model name that only webhooks use. */
export interface ForeignName {
  readonly name: string;
  readonly rows: number;
  /** What it may mean; a person decides, with WEBHOOK_MODEL_NAMES. */
  readonly suggestions: readonly string[];
}

const MAX_FOREIGN = 50;
/** Enough to include the extra models, which are in the same table but known to the portal. */
const MAX_LOOKED_AT = 200;
const SILENT = { deliveries: 0, repeats: 0, changes: 0, last_at: null, longest_silence_s: null };

export async function readCoverage(sql: Queryable): Promise<readonly Coverage[]> {
  const [uses, found] = await Promise.all([webhookUse(sql), foundChanges(sql)]);
  const byModel = new Map(uses.map((use) => [use.model, use]));
  const names = [...new Set([...byModel.keys(), ...found.keys()])].sort();
  return names.map((model) => coverageOf(byModel.get(model) ?? { model, ...SILENT }, found.get(model) ?? 0));
}

function coverageOf(use: Omit<Coverage, 'found' | 'share' | 'told'>, found: number): Coverage {
  const known = use.changes + found;
  const share = known === 0 ? null : use.changes / known;
  return { ...use, found, share, told: words(use.model, use.deliveries, share) };
}

function words(model: string, deliveries: number, share: number | null): string {
  if (share === null) return deliveries === 0 ? 'nothing has changed' : 'complete, as far as anything has changed';
  if (deliveries === 0)
    return `changes come, nobody announces them: tick create, update and delete of ${model} in Flowlu`;
  if (share === 1) return 'complete';
  const percent = Math.floor(share * 100);
  return `${percent} % of the changes were announced; see whether create, update and delete are all ticked in Flowlu`;
}

export async function foreignNames(sql: Queryable): Promise<readonly ForeignName[]> {
  const [counts, listed] = await Promise.all([uncataloguedCounts(sql, MAX_LOOKED_AT), listedModels(sql)]);
  const foreign = counts.filter(({ name }) => !listed.includes(name)).slice(0, MAX_FOREIGN);
  return foreign.map(({ name, rows }) => ({ name, rows, suggestions: similarNames(name) }));
}
