/** What a webhook body says, once it has been understood. */

import { z } from 'zod';
import { idOf } from '../catalog/id.ts';
import { isJsonObject, type Json, type JsonObject, parseJson, TooDeepError } from '../json.ts';

/** One announced change of one entity. */
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

/** Flowlu writes "nothing" as null, `{}` or `[]`. */
const entity = z
  .custom<Json | undefined>()
  .refine((value) => value == null || isJsonObject(value) || (Array.isArray(value) && value.length === 0), {
    message: 'must be an object, null or an empty list',
  })
  .transform((value) =>
    isJsonObject(value as Json) && Object.keys(value as JsonObject).length > 0 ? (value as JsonObject) : null,
  );

const body = z.object({
  meta: z.object({ module: name, model: name, action: name }),
  current: entity.optional().default(null),
  previous: entity.optional().default(null),
});

/**
 * Understands a webhook body.
 * @throws SyntaxError when the text is not JSON.
 * @throws WrongShapeError when it is JSON of another shape.
 */
export function readAnnouncement(text: string): Announcement {
  const parsed = body.safeParse(jsonOf(text));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new WrongShapeError(`${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not a webhook'}`);
  }
  const { meta, current, previous } = parsed.data;
  return {
    module: meta.module.toLowerCase(),
    model: meta.model.toLowerCase(),
    action: meta.action.toLowerCase(),
    entityId: idOf(current) ?? idOf(previous),
    current,
    previous,
  };
}

function jsonOf(text: string): Json {
  try {
    // Some senders begin with a byte order mark, which is no part of the JSON.
    return parseJson(text.startsWith('\uFEFF') ? text.slice(1) : text);
  } catch (error) {
    throw error instanceof TooDeepError ? new WrongShapeError(`body: ${error.message}`) : error;
  }
}
