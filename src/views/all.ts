/** Every view that stands over the mirror. Pure. */
import { dataDictionary } from './dictionary.ts';
import { historyViews } from './history.ts';
import { liveViews } from './live.ts';
import type { LiveFacts, View } from './live-columns.ts';
import { money } from './reports/money.ts';
import { partners } from './reports/partners.ts';
import { sales } from './reports/sales.ts';
import { work } from './reports/work.ts';

/** The live views, the ready-made ones of schema `flowlu_reports`, those of the past, and the dictionary of them all. */
export function allViews(facts: LiveFacts): readonly View[] {
  return [...liveViews(facts), ...reportViews(facts), ...historyViews(), dataDictionary()];
}

/** The views of schema `flowlu_reports`; days and months are those of the portal. */
export function reportViews({ zone }: LiveFacts): readonly View[] {
  return [...sales, ...work(zone ?? 'UTC'), ...money, ...partners];
}
