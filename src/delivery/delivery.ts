import { z } from 'zod';
import { splitName } from '../catalog/name.ts';
import { foreignWords, isKnownName, readName, similarNames } from '../catalog/other-names.ts';
import { isJsonObject, type Json, type JsonObject, parseJson, stringifyJson, TooMuchError } from '../core/json.ts';
import { idOf } from '../record/id.ts';

/** One announced change of one entity, under the catalogue's name of its model. The body keeps the name as received. */
export interface Announcement {
  readonly module: string;
  readonly model: string;
  readonly action: string;
  /** Digits of a 64-bit id, or null if the body has none. */
  readonly entityId: string | null;
  readonly current: JsonObject | null;
  readonly previous: JsonObject | null;
  /** Another id in the state before, which is then no state of this entity and left out here. */
  readonly otherId?: string;
  /** The body has neither of the two names: the sender may call them otherwise. */
  readonly lacksStates?: true;
}

/** A body to record, with what it announces or why it is rejected. */
export type Accepted = {
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
} & ({ readonly announcement: Announcement } | { readonly announcement: null; readonly rejection: string });

/** Parses a body or says why it is not Flowlu's. Null if it is not JSON, which is never stored. */
export function readDelivery(body: string): Accepted | null {
  return accepting(body, () => ({ body, announcement: readAnnouncement(body) }));
}

function accepting(body: string, read: () => Accepted): Accepted | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof WrongShapeError) return { body, announcement: null, rejection: error.message };
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** JSON, but not a webhook of Flowlu; the message says what is wrong. */
export class WrongShapeError extends Error {
  override readonly name = 'WrongShapeError';
}

const HINT =
  "Flowlu's own webhooks (System Settings → Webhooks) name module, model and action in meta; if an automation sends it, give it the address /webhooks/flowlu/SECRET/MODULE.MODEL, such as /crm.lead at its end";

/**
 * The name of a module, model or action. The pattern includes the maximum length: zod's own check reads any `length`,
 * and that of an object may not be comparable.
 */
const name = z
  .string('must be a name')
  .trim()
  .regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'must be a name');

/** Some senders put the module before the model, with a slash. */
const path = z
  .string('must be a name')
  .refine((text) => text.split('/', 3).every((part) => name.safeParse(part).success), 'must be a name');

const meta = z.object({ module: name, model: path, action: name }, 'must be an object');

/**
 * Parses a webhook body.
 * @throws SyntaxError if the text is not JSON
 * @throws WrongShapeError if the JSON has another shape
 */
export function readAnnouncement(text: string): Announcement {
  const body = jsonOf(text);
  if (!isJsonObject(body)) throw new WrongShapeError(`body: must be an object; ${HINT}`);
  const parsed = meta.safeParse(body.meta);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const what = ['meta', ...(issue?.path ?? [])].join('.');
    throw new WrongShapeError(`${what}: ${issue?.message ?? 'must be an object'}; ${HINT}`);
  }
  const { module, model, action } = parsed.data;
  const current = entityOf(body, 'current');
  const previous = entityOf(body, 'previous');
  const [id, otherId] = [idOf(current), idOf(previous)];
  const named = { ...readName(module, model), action: action.toLowerCase(), entityId: id ?? otherId, current };
  if (!Object.hasOwn(body, 'current') && !Object.hasOwn(body, 'previous'))
    return { ...named, previous, lacksStates: true };
  if (id === null || otherId === null || id === otherId) return { ...named, previous };
  return { ...named, previous: null, otherId };
}

/** The action for the body of an automation: something has happened to the record. */
export const AUTOMATION = 'automation';

/**
 * Parses the body of an automation, which names neither model nor action: only the record, perhaps within `current`.
 * Converts it to Flowlu's usual form, so that it says what it is about when read again.
 * @param model `module.model`, from the address
 * @returns null if it is not JSON
 */
export function readAutomation(text: string, model: string): Accepted | null {
  return accepting(text, () => automationOf(text, model));
}

/** Names of a record's id in forms. */
const FORM_IDS = ['id', 'current[id]', 'previous[id]', 'data[id]'] as const;

/**
 * Parses a form, which some senders use instead of JSON. Only the id is taken from it, as a hint.
 * @param model `module.model` from the address; if undefined, the form must name it
 * @returns null if it is no form or names no record; a rejection if the address names an unknown model
 */
export function readForm(text: string, model: string | undefined): Accepted | null {
  if (!/^[\w%.[\]-]{1,200}=/.test(text)) return null;
  const form = new URLSearchParams(text);
  const name = model ?? `${form.get('meta[module]')}.${form.get('meta[model]')}`;
  const id = FORM_IDS.map((key) => form.get(key)).find((value) => value !== null);
  const read = id === undefined || name.startsWith('null.') ? null : readAutomation(stringifyJson({ id }), name);
  return read?.announcement || model !== undefined ? read : null;
}

function automationOf(text: string, model: string): Accepted {
  const parsed = meta.safeParse({ ...splitName(model), action: AUTOMATION });
  if (!parsed.success)
    throw new WrongShapeError(`the address must end in module.model, such as crm.lead, not in ${model}`);
  const body = jsonOf(text);
  // Flowlu's own webhooks say more than the address does.
  if (isJsonObject(body) && meta.safeParse(body.meta).success)
    return { body: text, announcement: readAnnouncement(text) };
  const current = isJsonObject(body) ? (entityOf(body, 'current') ?? body) : null;
  const entityId = idOf(current);
  if (entityId === null)
    throw new WrongShapeError('current: names no record id; send the record, or at least its id: {"current":{"id":5}}');
  const named = readName(parsed.data.module, parsed.data.model);
  // A hint would be useless if the API cannot be asked about the model.
  if (!isKnownName(`${named.module}.${named.model}`))
    throw new WrongShapeError(`the address ends in ${model}, and ${foreignWords(similarNames(model))}`);
  const said = { ...named, action: AUTOMATION };
  const states = { current, previous: null };
  return { body: stringifyJson({ meta: said, ...states }), announcement: { ...said, entityId, ...states } };
}

/** One of the two states. Flowlu writes "nothing" as null, `{}` or `[]`, or leaves it out. */
function entityOf(body: JsonObject, key: 'current' | 'previous'): JsonObject | null {
  const value = body[key] ?? null;
  if (isJsonObject(value)) {
    const fields = Object.keys(value).length;
    if (fields > MAX_FIELDS) throw new WrongShapeError(`${key}: more than ${MAX_FIELDS} fields`);
    return fields > 0 ? value : null;
  }
  if (value === null || (Array.isArray(value) && value.length === 0)) return null;
  throw new WrongShapeError(`${key}: must be an object, null or an empty list`);
}

/** Values in a body, including those in lists and objects. Records have some hundreds; each costs time and memory. */
const MAX_VALUES = 20_000;

/** Fields of a record, which are looked up by name in many places. Flowlu's widest model has a hundred of its own. */
const MAX_FIELDS = 3_000;

function jsonOf(text: string): Json {
  try {
    // Some senders begin with a byte order mark, which is not part of the JSON.
    return parseJson(text.startsWith('\uFEFF') ? text.slice(1) : text, MAX_VALUES);
  } catch (error) {
    throw error instanceof TooMuchError ? new WrongShapeError(`body: ${error.message}`) : error;
  }
}
