/** Writes docs/commands.md from the commands. */
import { writeFileSync } from 'node:fs';
import { commandsPage } from './reference/commands.ts';

writeFileSync(new URL('../docs/commands.md', import.meta.url), commandsPage());
