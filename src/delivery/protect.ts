/** Deliveries as the privacy settings let them be stored: the body is written anew, without what must not be kept. */
import { type JsonObject, parseJson, stringifyJson } from '../core/json.ts';
import type { Privacy } from '../privacy/policy.ts';
import type { Accepted, Announcement } from './delivery.ts';

/**
 * Takes out of a delivery what must not be stored. A body that nobody understands may hold anything anywhere, so of
 * such a one nothing is kept but its length. One of a model without protected fields stays as it came if it holds none.
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

/** A body of Flowlu's form that says what the announcement says. */
function bodyOf({ module, model, action, current, previous }: Announcement): string {
  return stringifyJson({ meta: { module, model, action }, current, previous });
}

/** A body of Flowlu's form that says of the entity only which one it is. */
export function bareBody(announcement: Announcement): string {
  const { current, previous, entityId } = announcement;
  const bare = entityId === null ? null : (parseJson(`{"id":${entityId}}`) as JsonObject);
  return bodyOf({ ...announcement, current: current && bare, previous: previous && bare });
}

/** In place of a body that must not be kept. */
export function withheldBody(characters: number): string {
  return JSON.stringify({ withheld: WITHHELD, characters });
}

const WITHHELD = 'a body of unknown form may hold personal data';

/** True for what `withheldBody` writes, and for nothing that says more. */
export function isWithheldBody(body: string): boolean {
  const characters = /"characters":(\d{1,9})\}$/.exec(body)?.[1];
  return characters !== undefined && body === withheldBody(Number(characters));
}
