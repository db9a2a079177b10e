/** Every view that stands over the mirror. Pure. */
import { dataDictionary } from './dictionary.ts';
import { historyViews } from './history.ts';
import { liveViews } from './live.ts';
import type { LiveFacts } from './live-columns.ts';
import { activity } from './reports/activity.ts';
import { definitionsView, termsFor } from './reports/definitions.ts';
import { invoices } from './reports/invoices.ts';
import { money } from './reports/money.ts';
import { partners } from './reports/partners.ts';
import { pipeline } from './reports/pipeline.ts';
import { planned } from './reports/planned.ts';
import { sales } from './reports/sales.ts';
import { time } from './reports/time.ts';
import { work } from './reports/work.ts';
import type { View } from './view.ts';

/** The live views, the ready-made ones of schema `flowlu_reports`, those of the past, and the dictionary of them all. */
export function allViews(facts: LiveFacts): readonly View[] {
  return [...liveViews(facts), ...reportViews(facts), ...historyViews(), dataDictionary()];
}

/** The views of schema `flowlu_reports`; days and months are those of the portal. */
export function reportViews({ zone }: LiveFacts): readonly View[] {
  const terms = termsFor(zone ?? 'UTC');
  const groups = [sales, pipeline, partners, work, time, activity, invoices, money, planned];
  return [...groups.flatMap((views) => views(terms)), definitionsView(terms.zone)];
}
