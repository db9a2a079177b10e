/** A page of the API's rows into the mirror: what changed goes through the door, the rest costs no write. */

import { admit, type DoorContext, type Sighting, shapeOf } from '../apply/door.ts';
import type { Micros } from '../catalog/instant.ts';
import { contains, contentHash, isTwofold } from '../catalog/record.ts';
import { credible, versionOf } from '../catalog/version.ts';
import type { Transaction } from '../db/connection.ts';
import { clearDoubts } from '../db/doubtful.ts';
import { findChanged, type Shelf } from '../db/mirror-rows.ts';
import type { JsonObject } from '../json.ts';

/** Rows of one answer, not yet compared. */
export interface Page {
  readonly items: readonly { readonly id: string; readonly record: JsonObject }[];
  /** The moment before the request was sent. */
  readonly observedAt: Micros;
}

export interface PageCounts {
  readonly read: number;
  readonly written: number;
  readonly unchanged: number;
}

/** Merges a page within the caller's transaction. */
export async function mergePage(tx: Transaction, shelf: Shelf, page: Page, context: DoorContext): Promise<PageCounts> {
  const shape = shapeOf(shelf, context);
  const rows = new Map(page.items.map(({ id, record }) => [id, { id, record, hash: contentHash(shape, record) }]));
  const changed = await findChanged(tx, shelf, [...rows.values()]);
  // A row may hold more than a list tells, or have been hashed before a custom field was known: told all the same, it
  // is not even locked, since a lock is a write too.
  const tells = ({ id, record }: { readonly id: string; readonly record: JsonObject }) => {
    const held = changed.get(id);
    if (held === undefined) return false;
    return held === null || !contains(shape, held, record) || isTwofold(shape, held, record);
  };
  const sightings = [...rows.values()].filter(tells).map(({ id, record }): Sighting => {
    const version = credible(versionOf(shelf.model, record, context.zone), page.observedAt);
    const { observedAt } = page;
    return {
      shelf,
      entityId: id,
      observation: { says: 'present', record, version, observedAt, whole: false, settling: false },
    };
  });
  const verdicts = sightings.length === 0 ? [] : await admit(tx, sightings, context);
  // Only the very same content settles a doubt: it may be about what this list leaves out.
  const agreed = [...rows.keys()].filter((id) => !changed.has(id));
  await clearDoubts(
    tx,
    agreed.map((entityId) => ({ model: shelf.name, entityId, observedAt: page.observedAt })),
  );
  const written = verdicts.filter(({ row }) => row !== null).length;
  return { read: rows.size, written, unchanged: rows.size - written };
}
