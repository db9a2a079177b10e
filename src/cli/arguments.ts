/** Arguments that several commands take, checked. */

import { InvalidArgumentError } from 'commander';
import { findModel, models } from '../catalog/index.ts';
import { parseModelPatterns, unknownModels } from '../config/index.ts';
import { UsageError } from '../core/errors.ts';
import { isId } from '../record/id.ts';

/** The id of a record, without leading zeros. @throws UsageError */
export function requireId(text: string): string {
  if (!isId(text)) throw new UsageError('the id of a record is a whole number');
  return text.replace(/^0+(?=\d)/, '');
}

/** The name of one model, of the catalogue or not. @throws UsageError */
export function requireModelName(text: string): string {
  const name = text.trim().toLowerCase();
  if (!/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/.test(name))
    throw new UsageError(`"${text}" is no model: write module.model`);
  return name;
}

/** Refuses a model that neither the catalogue nor the mirror knows. @throws UsageError */
export function requireKnownModel(name: string, isInMirror: boolean): void {
  if (isInMirror || findModel(name) !== undefined) return;
  const [told = name] = unknownModels(
    parseModelPatterns([name]),
    models.map((model) => model.name),
  );
  throw new UsageError(`neither the catalogue nor the mirror knows ${told}; \`flowlu-mirror models\` lists the models`);
}

/** Reads the value of an option: a whole number, from 1 to `max` where there is one. */
export const wholeNumber =
  (max?: number) =>
  (text: string): number => {
    const number = Number(text);
    if (max === undefined && !/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number is needed.');
    if (max !== undefined && (!/^\d+$/.test(text) || number < 1 || number > max))
      throw new InvalidArgumentError(`a whole number from 1 to ${max} is needed.`);
    return number;
  };
