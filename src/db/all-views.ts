/** Every view that stands over the mirror. Pure. */
import { liveViews } from './live.ts';
import type { LiveFacts, View } from './live-columns.ts';

/** The live views and the ready-made ones. */
export function allViews(facts: LiveFacts): readonly View[] {
  return [...liveViews(facts)];
}
