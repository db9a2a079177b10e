/**
 * What the simulated portal knows: the models and fields of the public documentation, one model per
 * line of `catalog.ndjson`. Deliberately the simulator's own copy, so that a mistake in the
 * service's catalogue cannot agree with itself.
 */
import { readFileSync } from 'node:fs';

export type FieldFacts = readonly [
  name: string,
  documentedType: 'integer' | 'number' | 'string' | 'boolean' | 'null' | 'enum',
  kind: 'id' | 'text' | 'datetime' | 'number' | 'ref' | 'decimal' | 'integer' | 'flag' | 'null' | 'unix' | 'enum',
  references?: string,
];

export interface ModelFacts {
  readonly module: string;
  readonly model: string;
  /** `flowlu`: seen there · `expected`: documented for it · `aspro`: the sister edition only. */
  readonly availability: 'flowlu' | 'expected' | 'aspro';
  readonly methods: readonly string[];
  readonly created: string | null;
  readonly updated: string | null;
  readonly soft_delete: string | null;
  readonly fields: readonly FieldFacts[];
}

export const models: readonly ModelFacts[] = readFileSync(new URL('./catalog.ndjson', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as ModelFacts);

/** `module.model`, the name used throughout the simulator. */
export const nameOf = (facts: ModelFacts): string => `${facts.module}.${facts.model}`;

const byName = new Map(models.map((facts) => [nameOf(facts), facts]));

export const findModel = (name: string): ModelFacts | undefined => byName.get(name);

/** Facts of a model that must exist; throws on a misspelt name. */
export function modelFacts(name: string): ModelFacts {
  const facts = byName.get(name);
  if (facts === undefined) throw new Error(`no such model in the simulated portal: ${name}`);
  return facts;
}

const byModule = new Map<string, ModelFacts[]>();
for (const facts of models) byModule.set(facts.module, [...(byModule.get(facts.module) ?? []), facts]);

/** All models of a module; empty for a module that does not exist. */
export const modelsOf = (module: string): readonly ModelFacts[] => byModule.get(module) ?? [];
