/** Parsers of names of models, fields and scopes, and the patterns that choose models. */
import { models } from '../catalog/index.ts';
import { nearest } from '../catalog/name.ts';
import { type Parser, parser, quoted, wordsOf } from './parsers.ts';

/** Which models to mirror: those that match an `include` (or all, when there is none) and no `exclude`. */
export interface ModelPatterns {
  /** `module.model` or `module.*`, in lower case. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** A scope code for models whose code the catalogue does not know, or knows wrongly. */
export interface ScopeRule {
  /** `module.model` or `module.*`, in lower case. */
  readonly pattern: string;
  /** Without its level; null for models that need no scope of their own. */
  readonly code: string | null;
}

/** Patterns that a message names; each is compared with all names. */
const MAX_UNKNOWN = 5;
/** Fields in one list at most; a portal has some thousands in all. */
const MAX_FIELDS = 1_000;
const CODE = /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/;

const modelNames = models.map(({ name }) => name);

export const modelPatterns: Parser<ModelPatterns> = {
  expects: 'module.model or module.*, comma-separated; a leading ! excludes',
  read(text) {
    const patterns = parseModelPatterns(text.split(','));
    const unknown = unknownModels(patterns, modelNames);
    if (unknown.length > 0)
      throw new Error(
        `no model is called ${unknown.join(', ')}; docs/data-model.md lists all, others go into FLOWLU_EXTRA_MODELS alone`,
      );
    if (!modelNames.some((name) => matchesModel(patterns, name))) throw new Error('excludes all that it includes');
    return patterns;
  },
};

/**
 * Reads patterns, as `FLOWLU_MODELS` and the commands' model arguments spell them.
 * @throws Error when one has another shape than `module.model`, `module.*`, or either after a `!`.
 */
export function parseModelPatterns(words: readonly string[]): ModelPatterns {
  const patterns = words.map((word) => word.trim().toLowerCase()).filter((word) => word !== '');
  const odd = patterns.find((pattern) => !/^!?[a-z0-9_]+\.([a-z0-9_]+|\*)$/.test(pattern));
  if (odd !== undefined) {
    const whole = modelNames.some((name) => name.startsWith(`${odd.replace('!', '')}.`));
    throw new Error(`${quoted(odd)} must be ${modelPatterns.expects}${whole ? ` (did you mean ${odd}.*?)` : ''}`);
  }
  return {
    include: patterns.filter((pattern) => !pattern.startsWith('!')),
    exclude: patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1)),
  };
}

/** True when the patterns ask for the model, named `module.model`. */
export function matchesModel({ include, exclude }: ModelPatterns, name: string): boolean {
  const covers = (pattern: string) => covered(pattern, name);
  return (include.length === 0 || include.some(covers)) && !exclude.some(covers);
}

/** The first patterns that match none of the names, each with the name that was most likely meant. */
export function unknownModels(patterns: ModelPatterns, names: readonly string[]): readonly string[] {
  const unknown = [...new Set([...patterns.include, ...patterns.exclude])].filter(
    (pattern) => !names.some((name) => covered(pattern, name)),
  );
  return unknown.slice(0, MAX_UNKNOWN).map((pattern) => {
    const wholes = pattern.endsWith('.*') ? names.map((name) => name.replace(/\..*/, '.*')) : names;
    const meant = nearest(pattern, wholes);
    return meant === null ? pattern : `${pattern} (did you mean ${meant}?)`;
  });
}

function covered(pattern: string, name: string): boolean {
  return pattern.endsWith('.*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

export const fieldNames = parser('module.model.field, comma-separated; custom fields by number, as cf_12', (text) => {
  const words = wordsOf(text.toLowerCase());
  if (words.length > MAX_FIELDS) throw new Error(`lists more than ${MAX_FIELDS} fields`);
  return words.map((word) => {
    const [, model, field] = /^([a-z0-9_]+\.[a-z0-9_]+)\.([a-z0-9_]+)$/.exec(word) ?? [];
    if (model === undefined || field === undefined) {
      throw new Error(`${quoted(word)} must be ${fieldNames.expects}`);
    }
    if (field === 'id') throw new Error(`${quoted(word)}: without its id a record cannot be told from others`);
    if (field.startsWith('cf_') && !/^cf_\d+$/.test(field)) {
      throw new Error(`${quoted(word)}: name a custom field by its number, as cf_12; its alias may change`);
    }
    return { model, field };
  });
});

export const extraModels = parser('module.model, comma-separated', (text) =>
  wordsOf(text.toLowerCase()).map((word) => {
    if (!/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/.test(word) || word.length > 60)
      throw new Error(`${quoted(word)} must be like asset.asset`);
    return word;
  }),
);

export const modelNamePairs = parser('name in webhooks=module.model, comma-separated', (text) =>
  wordsOf(text.toLowerCase()).map((word) => {
    const [, other, model] = /^([a-z0-9_]+\.[a-z0-9_]+)=([a-z0-9_]+\.[a-z0-9_]+)$/.exec(word) ?? [];
    if (other === undefined || model === undefined) throw new Error(`${quoted(word)} must be like crm.deal=crm.lead`);
    if (modelNames.includes(other)) throw new Error(`${quoted(word)}: ${other} is a model of its own`);
    return { other, model };
  }),
);

export const scopeRules = parser(
  'module.model=code or module.*=code, comma-separated; - means none',
  (text): readonly ScopeRule[] =>
    wordsOf(text.toLowerCase()).map((word) => {
      const [pattern = '', code = ''] = word.split('=', 2);
      if (!/^[a-z0-9_]+\.([a-z0-9_]+|\*)$/.test(pattern) || !(code === '-' || CODE.test(code))) {
        throw new Error(`${quoted(word)} must be ${scopeRules.expects}`);
      }
      if (/\.(read|full)$/.test(code)) {
        throw new Error(`${quoted(word)}: leave out the level, the mirror only ever reads`);
      }
      return { pattern, code: code === '-' ? null : code };
    }),
);

export const appId = parser('like com.example.mirror', (text) =>
  /^[a-z0-9]+([._-][a-z0-9]+)*$/i.test(text) ? text : undefined,
);
