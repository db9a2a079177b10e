/** What a webhook body says, once it has been understood. */

import { z } from 'zod';
import { readName } from '../catalog/other-names.ts';
import { isJsonObject, type Json, type JsonObject, parseJson, TooDeepError } from '../core/json.ts';
import { idOf } from '../record/id.ts';

/** One announced change of one entity, under the catalogue's name of its model; the body keeps the name as it came. */
export interface Announcement {
  readonly module: string;
  readonly model: string;
  readonly action: string;
  /** Digits of a 64-bit id, or null where the body names none. */
  readonly entityId: string | null;
  readonly current: JsonObject | null;
  readonly previous: JsonObject | null;
}

/** A body to be recorded: with what it announces, or with why it is turned away. */
export type Accepted =
  | { readonly body: string; readonly announcement: Announcement }
  | { readonly body: string; readonly announcement: null; readonly rejection: string };

/** A body that is JSON but no webhook of Flowlu; the message says what is wrong with it. */
export class WrongShapeError extends Error {
  override readonly name = 'WrongShapeError';
}

/** Longest name of a module, model or action that is believed. */
const MAX_NAME_LENGTH = 64;
const name = z
  .string()
  .trim()
  .regex(/^[A-Za-z][A-Za-z0-9_]*$/, 'must be a name')
  .max(MAX_NAME_LENGTH);

/** Some senders put the module before the model, with a slash. */
const path = z
  .string()
  .trim()
  .regex(/^[A-Za-z][A-Za-z0-9_]*(\/[A-Za-z][A-Za-z0-9_]*)?$/, 'must be a name')
  .max(2 * MAX_NAME_LENGTH);

const meta = z.object({ module: name, model: path, action: name });

/**
 * Understands a webhook body.
 * @throws SyntaxError when the text is not JSON.
 * @throws WrongShapeError when it is JSON of another shape.
 */
export function readAnnouncement(text: string): Announcement {
  const body = jsonOf(text);
  if (!isJsonObject(body)) throw new WrongShapeError('body: must be an object');
  const parsed = meta.safeParse(body.meta);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new WrongShapeError(
      `${['meta', ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? 'must be an object'}`,
    );
  }
  const { module, model, action } = parsed.data;
  const current = entityOf(body, 'current');
  const previous = entityOf(body, 'previous');
  return {
    ...readName(module, model),
    action: action.toLowerCase(),
    entityId: idOf(current) ?? idOf(previous),
    current,
    previous,
  };
}

/** One of the two states; Flowlu writes "nothing" as null, `{}` or `[]`, or leaves it out. */
function entityOf(body: JsonObject, key: 'current' | 'previous'): JsonObject | null {
  const value = body[key] ?? null;
  if (isJsonObject(value)) return Object.keys(value).length > 0 ? value : null;
  if (value === null || (Array.isArray(value) && value.length === 0)) return null;
  throw new WrongShapeError(`${key}: must be an object, null or an empty list`);
}

function jsonOf(text: string): Json {
  try {
    // Some senders begin with a byte order mark, which is no part of the JSON.
    return parseJson(text.startsWith('\uFEFF') ? text.slice(1) : text);
  } catch (error) {
    throw error instanceof TooDeepError ? new WrongShapeError(`body: ${error.message}`) : error;
  }
}
