/** `.env.example` and docs/settings.md as text, from the table of settings. */
import { groups, type Setting, settings } from '../../src/config/table.ts';

/** `.env.example`: one commented line per setting, with its default, an example, or something to be replaced. */
export function envExample(): string {
  const sections = groups.map(([group, rows]) => {
    const lines = rows.map(([name, setting]) => {
      const { help, parser, without, placeholder, example } = setting;
      const notes = [help, parser.expects, without && `without it: ${without}`].filter(Boolean);
      return `# ${notes.join('\n# ')}\n#${name}=${placeholder ?? example ?? setting.default}\n`;
    });
    return `# --- ${group} ---\n\n${lines.join('\n')}`;
  });
  const head = [
    '# Settings of flowlu-mirror. Copy this file to .env, remove the # of a line to set it.',
    '# The environment wins over .env. Each secret can also be read from a file:',
    `# ${secretFiles().join(', ')}.`,
  ];
  return `${head.join('\n')}\n\n${sections.join('\n')}`;
}

/** The reference page. */
export function settingsPage(): string {
  const sections = groups.map(([group, rows]) => {
    const lines = rows.map(([name, setting]) => {
      const cells = [`\`${name}\``, shownDefault(setting), cell(setting.parser.expects) || '–', cell(setting.help)];
      return `| ${cells.join(' | ')} |`;
    });
    return `## ${group}\n\n| name | default | value | meaning |\n|---|---|---|---|\n${lines.join('\n')}\n`;
  });
  const head = `# Settings

<!-- Written by \`npm run settings\` from src/config/table.ts; a test compares the two. -->

Settings come from the environment or from a \`.env\` file in the working directory. The environment takes precedence.
[.env.example](../.env.example) has a line for each. An empty value counts as not set. All mistakes are reported at once, and the
command ends with exit code 2.

Misspelt names are an error in \`.env\`. In the environment, where other programs have settings too, they are a warning. A name counts as
misspelt if it begins with \`FLOWLU_\` and is no setting, or if it is one letter away from a setting that is not set.

Each secret can also be read from a file. Append \`_FILE\` to the name of the variable and set it to the file's path:
${secretFiles()
  .map((name) => `\`${name}\``)
  .join(', ')}.
`;
  return `${head}\n${sections.join('\n')}`;
}

function secretFiles(): readonly string[] {
  return settings.filter(([, { secret }]) => secret !== undefined).map(([name]) => `${name}_FILE`);
}

/** What can be typed stands in backquotes. */
function shownDefault(setting: Setting): string {
  return setting.default === undefined ? cell(setting.without ?? '') || '–' : `\`${setting.default}\``;
}

/** A cell of a table; addresses and patterns stand in backquotes, for Markdown to leave them alone. */
const cell = (text: string) => text.replace(/[^\s,;]*(?:\/\/|[*{])[^\s,;]*/g, '`$&`');
