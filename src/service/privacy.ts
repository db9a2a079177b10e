/** The privacy settings on their way into a session: checked, and with the names that they have to see through. */
import { findModel } from '../catalog/index.ts';
import type { Config } from '../config/index.ts';
import { UsageError } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import type { Logger } from '../core/log.ts';
import type { FlowluClient } from '../flowlu/client.ts';
import { listPages } from '../listing/listing.ts';
import type { AliasedField, Shapes } from '../merge/shapes.ts';
import { ownerOf } from '../mirror-rows/custom-fields.ts';
import type { Sql } from '../postgres/connection.ts';
import { checkPrivacy } from '../privacy/check.ts';
import type { Privacy } from '../privacy/policy.ts';
import { listedModels } from '../store/listings.ts';
import { keepsTo, markKept, unmark } from '../store/privacy-mark.ts';

/** Longest wait for the definitions before a command goes on without them. */
const LEARN_MAX_MS = 20_000;

/** Refuses privacy settings that cannot be kept to. @throws UsageError */
export function requirePrivacy({ privacy, flowlu }: Config, log: Logger): void {
  const { problems, unknown } = checkPrivacy(privacy, flowlu.extraModels);
  if (problems.length > 0) throw new UsageError(`the privacy settings cannot be kept to:\n  ${problems.join('\n  ')}`);
  if (unknown.length > 0)
    log.warn({ fields: unknown }, 'the privacy settings name fields that the catalogue does not know');
}

/** Says so where something is stored that the settings would not let in any more. `notes`: whether the mark that says so is kept in step. */
export async function warnIfUnkept(
  sql: Sql,
  privacy: Privacy | null,
  { log, notes }: { readonly log: Logger; readonly notes: boolean },
): Promise<void> {
  if (privacy === null) return notes ? unmark(sql) : undefined;
  if (await keepsTo(sql, privacy.fingerprint)) return notes ? markKept(sql, privacy.fingerprint) : undefined;
  log.warn(
    'the privacy settings are new or have changed; what was stored before does not keep to them: run `flowlu-mirror redact`',
  );
}

/**
 * Reads through the API what custom fields are called, unless the mirror has read all of them before. Until an alias is
 * known, it may be that of a protected field and is treated as one; the first reading would lack values for no reason.
 */
export async function learnAliases(
  { sql, shapes, log }: { readonly sql: Sql; readonly shapes: Shapes; readonly log: Logger },
  client: FlowluClient,
): Promise<void> {
  const model = findModel('customfields.fields');
  if (model === undefined || (await listedModels(sql)).includes(model.name)) return;
  const aliases: AliasedField[] = [];
  try {
    for await (const { items } of listPages(client, model, { signal: AbortSignal.timeout(LEARN_MAX_MS) })) {
      for (const { id, module, model: owner, alias } of items) {
        if ([module, owner, alias].every(isName)) {
          aliases.push({ id: String(id), model: ownerOf(String(module), String(owner)), alias: String(alias) });
        }
      }
    }
    shapes.learn(aliases);
  } catch (error) {
    log.warn(
      { err: error },
      'custom fields cannot be listed; those with an alias count as protected until they are known',
    );
  }
}

const isName = (value: Json | undefined) => typeof value === 'string' && value !== '';
