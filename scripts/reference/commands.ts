/** docs/commands.md, from the commands as `--help` describes them. */
import type { Argument, Command, Option } from 'commander';
import { EXIT, type ExitCode } from '../../src/cli/exit-codes.ts';
import { programWith } from '../../src/cli/program.ts';

const EXIT_MEANINGS: Record<ExitCode, string> = {
  [EXIT.done]: 'done',
  [EXIT.failed]: 'failed; the message says why',
  [EXIT.usage]: 'wrong usage or configuration; nothing was done',
  [EXIT.finding]: 'finished, but something needs attention: a difference, a guard, an open doubt, a failed delivery',
  [EXIT.interrupted]:
    'stopped on request; the state is safe, and a command that says so continues when it is run again',
};

const { commands } = await programWith();

export function commandsPage(): string {
  const codes = Object.entries(EXIT_MEANINGS).map(([code, meaning]) => `| ${code} | ${meaning} |\n`);
  return `# Commands

<!-- Written by \`npm run commands\` from src/cli/; a test compares the two. -->

Run a command with \`npx flowlu-mirror <command>\`. \`--help\` works everywhere. Results go to stdout, progress and logs to
stderr; only \`serve\` logs to stdout. Settings come from the environment, see [settings.md](settings.md).

| exit code | meaning |
|---|---|
${codes.join('')}
${commands.map(section).join('\n')}`;
}

function section(command: Command): string {
  const rows = [...command.registeredArguments.map(argumentRow), ...command.options.map(optionRow)];
  const table = rows.length === 0 ? '' : `\n| argument or option | meaning |\n|---|---|\n${rows.join('')}`;
  const usage = ['npx flowlu-mirror', command.name(), command.usage()].join(' ').trimEnd();
  return `## ${command.name()}\n\n${sentence(command.description())}\n\n\`\`\`text\n${usage}\n\`\`\`\n${table}`;
}

const argumentRow = (argument: Argument) =>
  `| \`${argument.name()}${argument.variadic ? '…' : ''}\` | ${cell(argument.description)} |\n`;

const optionRow = ({ flags, description, defaultValue, negate }: Option) =>
  `| \`${flags}\` | ${cell(description)}${defaultValue === undefined || negate ? '' : ` (default: \`${defaultValue}\`)`} |\n`;

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Patterns such as `module.*` stand in backquotes, so that Markdown leaves them alone. */
const cell = (text: string) => text.replace(/\S*\*/g, '`$&`');
