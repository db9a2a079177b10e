/** What listings show about the portal, kept for the next ones. */

import { MICROS_PER_MS, type Micros } from '../core/time.ts';
import type { ListingMeasures } from '../listing/listing.ts';
import type { Sql } from '../postgres/connection.ts';
import { forget, knownFacts, measure, noteTrouble, PORTAL } from '../store/measurements.ts';

/** What earlier listings of the model have shown, or those of other models if it applies to the whole portal. */
export async function knownMeasures(sql: Sql, model: string): Promise<Partial<ListingMeasures>> {
  const { page_size = null, bearable_size = null, order_by_id = null, id_filter = null } = await knownFacts(sql, model);
  return { pageSize: page_size, bearableSize: bearable_size, order: order_by_id, idFilter: id_filter };
}

export async function noteMeasures(sql: Sql, model: string, measured: ListingMeasures): Promise<void> {
  const { pageSize, bearableSize, order, idFilter } = measured;
  const sizes = { page_size: pageSize, bearable_size: bearableSize };
  await measure(sql, model, { ...sizes, order_by_id: order, id_filter: idFilter });
  // Whether an order or filter is honoured may differ by model; whether requesting it is an error hardly does.
  await measure(sql, PORTAL, {
    ...sizes,
    order_by_id: order === 'refused' ? order : null,
    id_filter: idFilter === 'refused' ? idFilter : null,
  });
  if (order === 'honoured') await forget(sql, PORTAL, 'order_by_id');
  if (idFilter === 'honoured') await forget(sql, PORTAL, 'id_filter');
}

/** Hours ahead: more than clocks differ, and no more than zones do. */
const AHEAD_H = { least: 0.3, most: 27 } as const;

/** Notes that the newest change of a model is dated after it was read: its time was then read in a wrong zone. */
export async function noteAhead(sql: Sql, model: string, newest: string | null, readAt: Micros): Promise<void> {
  const ahead_h = newest === null ? 0 : (Date.parse(newest) - readAt / MICROS_PER_MS) / 3_600_000;
  if (!(ahead_h > AHEAD_H.least && ahead_h < AHEAD_H.most)) return;
  const words = `the newest change of ${model} would have been made ${ahead_h.toFixed(1)} h after it was read`;
  await noteTrouble(sql, 'ahead', words);
}
