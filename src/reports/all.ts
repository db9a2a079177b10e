/** Every view that stands over the mirror. Pure. */
import { dataDictionary } from '../views/dictionary.ts';
import { historyViews } from '../views/history.ts';
import { liveViews } from '../views/live.ts';
import type { LiveFacts } from '../views/live-columns.ts';
import type { View } from '../views/view.ts';
import { activity } from './activity.ts';
import { definitionsView, termsFor } from './definitions.ts';
import { invoices } from './invoices.ts';
import { money } from './money.ts';
import { partners } from './partners.ts';
import { pipeline } from './pipeline.ts';
import { planned } from './planned.ts';
import { sales } from './sales.ts';
import { time } from './time.ts';
import { work } from './work.ts';

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
