/** Installs the browser of the page tests where it is not there yet. */
import { install } from '../support/debian.ts';

export default function setup(): void {
  if (process.env.CHROMIUM === undefined) install(['chromium']);
}
