/** Rewrites the bodies of deliveries without what the privacy settings forbid to store. */
import { type JsonObject, parseJson, stringifyJson } from '../core/json.ts';
import type { Privacy } from '../privacy/policy.ts';
import type { Accepted, Announcement } from './delivery.ts';

/**
 * Removes from a delivery what must not be stored. A body of unknown form may hold anything anywhere, so only its
 * length is kept. A delivery of a model without protected fields stays unchanged if it holds none.
 */
export function protectDelivery(accepted: Accepted, privacy: Privacy): Accepted {
  const { announcement } = accepted;
  if (announcement === null) return { ...accepted, body: withheldBody(accepted.body.length) };
  const protectedOne = protectAnnouncement(announcement, privacy);
  const isSame = protectedOne.current === announcement.current && protectedOne.previous === announcement.previous;
  const isWhole = isSame && announcement.otherId === undefined;
  if (isWhole && !privacy.concerns(nameOf(announcement))) return accepted;
  return { ...accepted, body: bodyOf(protectedOne), announcement: protectedOne };
}

function protectAnnouncement(announcement: Announcement, { protect }: Privacy): Announcement {
  const name = nameOf(announcement);
  const without = (record: Announcement['current']) => (record === null ? null : protect(name, record));
  return { ...announcement, current: without(announcement.current), previous: without(announcement.previous) };
}

const nameOf = ({ module, model }: Announcement) => `${module}.${model}`;

/** A body in Flowlu's form with the content of the announcement. */
function bodyOf({ module, model, action, current, previous }: Announcement): string {
  return stringifyJson({ meta: { module, model, action }, current, previous });
}

/** A body in Flowlu's form that only identifies the entity. */
export function bareBody(announcement: Announcement): string {
  const { current, previous, entityId } = announcement;
  const bare = entityId === null ? null : (parseJson(`{"id":${entityId}}`) as JsonObject);
  return bodyOf({ ...announcement, current: current && bare, previous: previous && bare });
}

/** Replaces a body that must not be stored. */
export function withheldBody(characters: number): string {
  return JSON.stringify({ withheld: WITHHELD, characters });
}

const WITHHELD = 'a body of unknown form may hold personal data';

/** Whether the body is exactly what `withheldBody` writes. */
export function isWithheldBody(body: string): boolean {
  const characters = /"characters":(\d{1,9})\}$/.exec(body)?.[1];
  return characters !== undefined && body === withheldBody(Number(characters));
}
