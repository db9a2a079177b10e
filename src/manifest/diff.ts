/** What changes when the portal goes over from one manifest to another. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Manifest } from './schema.ts';
import { allows, readPermissions, type ScopedModel, type ScopeRule } from './scopes.ts';

export const ACTIONS = ['create', 'update', 'delete'] as const;

export interface Trigger {
  readonly model: string;
  readonly actions: readonly (typeof ACTIONS)[number][];
}

export interface ManifestDiff {
  /** Permissions that an administrator has to approve anew: more than before. */
  readonly scopes_added: readonly string[];
  /** Permissions that go, or shrink from `full` to `read`. */
  readonly scopes_removed: readonly string[];
  /** Permissions of the installed manifest that have no known level; whatever they allow, it goes. */
  readonly scopes_unknown: readonly string[];
  /** Webhooks that become possible; they have to be ticked in the portal. */
  readonly triggers_added: readonly Trigger[];
  /** Webhooks that Flowlu removes with the update, because no scope allows them any more. */
  readonly triggers_removed: readonly Trigger[];
  readonly fields: readonly { readonly field: string; readonly from: unknown; readonly to: unknown }[];
}

export function triggersOf(models: readonly Pick<ScopedModel, 'name'>[]): readonly Trigger[] {
  return models.map(({ name }) => ({ model: name, actions: ACTIONS }));
}

/** Compares. @param catalogue every known model @param mirrored names of those that the settings mirror */
export function diffManifests(
  installed: Manifest,
  next: Manifest,
  catalogue: readonly ScopedModel[],
  mirrored: ReadonlySet<string>,
  rules: readonly ScopeRule[],
): ManifestDiff {
  const [before, after] = [readPermissions(installed.permissions), readPermissions(next.permissions)];
  const opened = catalogue.filter((model) => allows(after, model, rules) && !allows(before, model, rules));
  const closed = catalogue.filter((model) => allows(before, model, rules) && !allows(after, model, rules));
  const list = ({ levels }: typeof before) => [...levels].map(([code, level]) => `${code}.${level}`);
  const [had, has] = [list(before), list(after)];
  return {
    scopes_added: has.filter((permission) => !had.includes(permission)),
    scopes_removed: had.filter((permission) => !has.includes(permission)),
    scopes_unknown: before.unknown,
    triggers_added: triggersOf(opened.filter(({ name }) => mirrored.has(name))),
    triggers_removed: triggersOf(closed),
    fields: differingFields(installed, next),
  };
}

export function isSame(diff: ManifestDiff): boolean {
  return Object.values(diff).every((list: readonly unknown[]) => list.length === 0);
}

function differingFields(installed: Manifest, next: Manifest): ManifestDiff['fields'] {
  const fields = [...new Set([...Object.keys(next), ...Object.keys(installed)])];
  return fields
    .map((field) => ({ field, from: installed[field] ?? null, to: next[field] ?? null }))
    .filter(({ field, from, to }) => field !== 'permissions' && !isDeepStrictEqual(from, to));
}
