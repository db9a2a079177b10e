/** Writes .env.example and docs/settings.md from the table of settings. */
import { writeFileSync } from 'node:fs';
import { envExample, settingsPage } from './reference/settings.ts';

const write = (path: string, text: string) => writeFileSync(new URL(`../${path}`, import.meta.url), text);
write('.env.example', envExample());
write('docs/settings.md', settingsPage());
