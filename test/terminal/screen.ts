/** A small terminal: keeps what a person would see of the text and the cursor movements written to it. */
import { EventEmitter } from 'node:events';

/** A stream that says it is a terminal of the given size; `lines()` is everything on it, scrolled lines included. */
export class Screen extends EventEmitter {
  readonly isTTY = true;
  readonly #lines: string[] = [''];
  #row = 0;
  #column = 0;

  constructor(
    readonly columns: number,
    readonly rows = 24,
  ) {
    super();
  }

  write(text: string): boolean {
    for (const [token] of text.matchAll(/\p{Cc}\[\d*[A-Z]|./gsu)) {
      const [, count = '', action] = /^\p{Cc}\[(\d*)([A-Z])$/u.exec(token) ?? [];
      if (action) this.#control(action, Number(count || '0'));
      else if (token === '\n') this.#newline();
      else if (token === '\r') this.#column = 0;
      else this.#print(token);
    }
    return true;
  }

  lines(): readonly string[] {
    return this.#lines.map((line) => line.trimEnd());
  }

  #control(action: string, count: number): void {
    const line = this.#lines[this.#row] ?? '';
    if (action === 'A') this.#row = Math.max(0, this.#row - (count || 1));
    else if (action === 'G') this.#column = Math.max(0, (count || 1) - 1);
    else if (action === 'K' && count === 2) this.#lines[this.#row] = '';
    else if (action === 'K') this.#lines[this.#row] = line.slice(0, this.#column);
    else if (action === 'J') this.#lines.splice(this.#row, Infinity, line.slice(0, this.#column));
    else throw new Error(`the screen does not know the control ESC[${count}${action}`);
  }

  #newline(): void {
    this.#row += 1;
    this.#column = 0;
    this.#lines[this.#row] ??= '';
  }

  #print(character: string): void {
    if (this.#column >= this.columns) this.#newline();
    const line = (this.#lines[this.#row] ?? '').padEnd(this.#column);
    this.#lines[this.#row] = line.slice(0, this.#column) + character + line.slice(this.#column + 1);
    this.#column += 1;
  }
}
