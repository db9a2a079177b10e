/** One variable that cannot be used, and what to do about it. Never holds the value of a secret. */
export interface ConfigProblem {
  readonly name: string;
  readonly problem: string;
}

/** The configuration cannot be used; the message lists every problem. Ends in exit code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ name, problem }) => `  ${name}: ${problem}`);
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
    super(`The configuration has ${count}:\n${lines.join('\n')}`);
  }
}
