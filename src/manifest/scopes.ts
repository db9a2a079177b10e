/** From models to the least scopes that they need, and back to what scopes allow. Pure. */
import { type ScopeBasis, scopeBasis } from '../catalog/scopes.ts';
import type { Model } from '../catalog/types.ts';

export type ScopedModel = Pick<Model, 'name' | 'module' | 'scope'>;

/** A code that replaces the catalogue's for some models; null where they need none. */
export interface ScopeRule {
  readonly pattern: string;
  readonly code: string | null;
}

export interface NeededScope {
  /** With its level, e.g. `crm.accounts.read`. */
  readonly permission: string;
  /** Least certain of its models; `configured` where the settings name the code. */
  readonly basis: ScopeBasis | 'configured';
  readonly models: readonly string[];
}

const LEVELS = ['read', 'full'] as const;
type Level = (typeof LEVELS)[number];

const CERTAINTY = ['configured', 'documented', 'assigned', 'guessed'] as const;

/** The code that a model needs, without its level; null where the settings say that it needs none. */
export function codeOf(model: ScopedModel, rules: readonly ScopeRule[]): string | null {
  const rule = ruleFor(model, rules);
  return rule === undefined ? model.scope : rule.code;
}

/** A rule for the very model outranks one for its module. */
function ruleFor({ name, module }: ScopedModel, rules: readonly ScopeRule[]): ScopeRule | undefined {
  return rules.find(({ pattern }) => pattern === name) ?? rules.find(({ pattern }) => pattern === `${module}.*`);
}

/** The least scopes that let the models be read, in order; a scope for a whole module swallows those for parts of it. */
export function neededScopes(models: readonly ScopedModel[], rules: readonly ScopeRule[]): readonly NeededScope[] {
  const coded = models.flatMap((model) => {
    const code = codeOf(model, rules);
    return code === null ? [] : [{ model, code }];
  });
  const kept = swallow([...new Set(coded.map(({ code }) => code))]);
  return kept.map((code) => {
    const covered = coded.filter((one) => covers(code, one.code)).map(({ model }) => model);
    const bases = covered.map((model) => (ruleFor(model, rules) === undefined ? scopeBasis(model) : 'configured'));
    return {
      permission: `${code}.read`,
      basis: CERTAINTY.findLast((basis) => bases.includes(basis)) ?? 'guessed',
      models: covered.map(({ name }) => name).toSorted(),
    };
  });
}

/** Codes without those that a wider one covers, in order. */
function swallow(codes: readonly string[]): readonly string[] {
  return codes.filter((code) => !codes.some((other) => other !== code && covers(other, code))).toSorted();
}

/** True when a scope of the first code allows all that one of the second does. */
function covers(wide: string, narrow: string): boolean {
  return wide === narrow || narrow.startsWith(`${wide}.`);
}

/** What a list of permissions amounts to: code → level. What has no known level is set apart. */
export interface Granted {
  readonly levels: ReadonlyMap<string, Level>;
  readonly unknown: readonly string[];
}

/** Reads permissions as Flowlu does: the highest level of a code counts, and a module's scope outranks its parts. */
export function readPermissions(permissions: readonly string[]): Granted {
  const levels = new Map<string, Level>();
  const unknown: string[] = [];
  for (const permission of new Set(permissions)) {
    const [, code = '', level = ''] = /^(.+)\.(read|full)$/.exec(permission) ?? [];
    if (code === '') unknown.push(permission);
    else if (levels.get(code) !== 'full') levels.set(code, level as Level);
  }
  const kept = new Set(swallow([...levels.keys()]));
  return { levels: new Map([...levels].filter(([code]) => kept.has(code)).toSorted()), unknown };
}

export function allows({ levels }: Granted, model: ScopedModel, rules: readonly ScopeRule[]): boolean {
  const code = codeOf(model, rules);
  return code === null || [...levels.keys()].some((granted) => covers(granted, code));
}
