/** Deliveries of the ledger as the rule wants them. */

import { readAnnouncement } from '../delivery/delivery.ts';
import type { Zone } from '../record/zone.ts';
import type { KinEntry } from '../store/deliveries.ts';
import type { Kin } from './rule/observation.ts';

/** A ledger entry as kin. */
export function kinOf(entry: KinEntry, zone: Zone): Kin {
  return {
    link: { from: entry.fromHash, to: entry.toHash },
    version: entry.version === null ? null : { at: entry.version, order: zone.orderOf(entry.version) },
    record: entry.body === null ? null : readAnnouncement(entry.body).current,
  };
}
