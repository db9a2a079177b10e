/** Deliveries of the ledger as the rule wants them. */

import { readAnnouncement } from '../delivery/delivery.ts';
import type { Zone } from '../record/zone.ts';
import type { EarlierEntry } from '../store/deliveries/ledger.ts';
import type { Earlier } from './rule/observation.ts';

/** An entry of the ledger as an earlier delivery. */
export function earlierOf(entry: EarlierEntry, zone: Zone): Earlier {
  return {
    link: { from: entry.fromHash, to: entry.toHash },
    version: entry.version === null ? null : { at: entry.version, order: zone.orderOf(entry.version) },
    record: entry.body === null ? null : readAnnouncement(entry.body).current,
  };
}
