/** How the demonstration talks. */
import pico from 'picocolors';

const startedAt = performance.now();

export function heading(text: string): void {
  console.log(`\n${pico.bold(text)}`);
}

export function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6);
  console.log(`${pico.dim(`${seconds} s`)}  ${text}`);
}
