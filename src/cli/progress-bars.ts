/** Progress on a terminal: a bar for the whole, one per model that is being read; finished models scroll away as a line each. */

import { MultiBar, type SingleBar } from 'cli-progress';
import { visible } from '../core/visible.ts';
import { formatCount, formatDuration, type TextStream, write } from './output.ts';
import { addStep, newTally, type Outcome, type Progress, quietly, rateOf, type Tally } from './progress-events.ts';

/** A terminal as far as bars need it. */
export interface Terminal extends TextStream {
  readonly rows?: number;
}

const MAX_MODEL_BARS = 7;
const FRAMES_PER_SECOND = 8;
const MIN_BAR_WIDTH = 8;
const MAX_BAR_WIDTH = 30;

const MARKS: Readonly<Record<Outcome, string>> = { done: '✔', skipped: '–', failed: '✖', interrupted: '…' };

/** Progress as bars. `models`: how many models will be read in all, when known. */
export function createProgressBars(stream: Terminal, now: () => number, models?: number): Progress {
  const display = new MultiBar({
    stream: patientStream(stream),
    format: (_options: unknown, _params: unknown, payload: { line: () => string }) => payload.line(),
    fps: FRAMES_PER_SECOND,
    // Lines that scroll by move the bars, so every bar is drawn anew each time.
    forceRedraw: true,
    // Hiding the cursor or switching off wrapping would outlive a killed process.
    hideCursor: false,
    linewrap: true,
    // Signals are the command's business.
    gracefulExit: false,
    noTTYOutput: false,
  });

  const active = new Map<string, Tally>();
  const bars = new Map<string, SingleBar>();
  const whole = newTally('total', null, now());
  let finished = 0;
  let open = true;

  const width = () => Math.max(20, stream.columns || 80) - 1;
  const addBar = (line: () => string) => display.create(1, 0, { line });
  const modelLine = (tally: Tally) => () => layout(tally.name, fractionOf(tally), countsOf(tally, now()), width());
  const wholeLine = () => {
    const seen = models ?? finished + active.size;
    const partly = [...active.values()].reduce((sum, tally) => sum + (fractionOf(tally) ?? 0), 0);
    const fraction = seen > 0 ? Math.min(1, (finished + partly) / seen) : 0;
    const left = fraction > 0 && fraction < 1 ? ((now() - whole.startedAt) * (1 - fraction)) / fraction : 0;
    const tail = [`${finished}/${seen} models`, ...ratesOf(whole, now(), left)];
    return layout('total', fraction, tail, width());
  };
  const room = () => Math.max(1, Math.min(MAX_MODEL_BARS, (stream.rows ?? 24) - 3));
  const fillBars = () => {
    for (const [name, tally] of active) {
      if (bars.size >= room()) return;
      if (!bars.has(name)) bars.set(name, addBar(modelLine(tally)));
    }
  };
  const tallyOf = (name: string, total: number | null) => {
    const tally = active.get(name) ?? newTally(name, total, now());
    active.set(name, tally);
    return tally;
  };
  const whileOpen = (action: () => void) => {
    if (open) quietly(action);
  };

  quietly(() => addBar(wholeLine));

  return {
    modelStarted: (name, total) =>
      whileOpen(() => {
        tallyOf(name, total).total = total;
        fillBars();
      }),
    modelAdvanced: (name, step) =>
      whileOpen(() => {
        addStep(tallyOf(name, null), step);
        addStep(whole, step);
      }),
    modelFinished: (name, outcome, reason) =>
      whileOpen(() => {
        const tally = tallyOf(name, null);
        active.delete(name);
        finished += 1;
        display.log(`${finishedLine(tally, outcome, reason, now())}\u001b[K\n`);
        const bar = bars.get(name);
        bars.delete(name);
        if (bar) display.remove(bar);
        fillBars();
      }),
    close: () =>
      whileOpen(() => {
        open = false;
        display.update();
        display.stop();
      }),
  };
}

/** One line: name, bar, figures. What does not fit goes: first the bar, then the last figures, then the name's end. */
export function layout(name: string, fraction: number | null, tail: readonly string[], width: number): string {
  const label = name.length > width / 3 ? `${name.slice(0, Math.floor(width / 3) - 1)}…` : name;
  const figures = [...(fraction === null ? [] : [`${Math.floor(fraction * 100)}%`.padStart(4)]), ...tail];
  while (figures.length > 1 && label.length + figures.join('  ').length + 2 > width) figures.pop();
  const text = figures.join('  ');
  const space = Math.min(MAX_BAR_WIDTH, width - Math.max(label.length, 26) - text.length - 4);
  const bar = space < MIN_BAR_WIDTH ? '' : `${barOf(fraction ?? 0, space)}  `;
  return `${bar ? label.padEnd(26) : label}  ${bar}${text}`.slice(0, width);
}

function barOf(fraction: number, width: number): string {
  const full = Math.round(fraction * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

function fractionOf(tally: Tally): number | null {
  if (tally.total === null) return null;
  return tally.total === 0 ? 1 : Math.min(1, tally.read / tally.total);
}

function countsOf(tally: Tally, now: number): readonly string[] {
  const rate = rateOf(tally, now);
  const left = tally.total === null || rate === 0 ? 0 : ((tally.total - tally.read) / rate) * 1_000;
  const [rows = '', ...rest] = ratesOf(tally, now, left);
  return [tally.total === null ? rows : `${formatCount(tally.read)}/${formatCount(tally.total)}`, ...rest];
}

function ratesOf(tally: Tally, now: number, leftMs: number): readonly string[] {
  const rate = `${formatCount(Math.round(rateOf(tally, now)))}/s`;
  return [`${formatCount(tally.read)} rows`, rate, ...(leftMs > 0 ? [`ETA ${formatDuration(leftMs)}`] : [])];
}

function finishedLine(tally: Tally, outcome: Outcome, reason: string | undefined, now: number): string {
  const took = formatDuration(now - tally.startedAt);
  const counts = `${formatCount(tally.read)} read, ${formatCount(tally.written)} written, ${took}`;
  const why = reason ? `: ${visible(reason.replace(/\p{Cc}+/gu, ' '))}` : '';
  return `${MARKS[outcome]} ${tally.name}  ${outcome === 'skipped' ? `skipped${why}` : `${counts}${why}`}`;
}

/** What bars move the cursor with; texts from outside are made visible before they are put into a line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what such sequences begin with
const CONTROLS = /(?:[\r\n\t]|\u001b\[[\d;?]{0,20}[A-Za-z]|\u001b[78])+/;

/** The stream without its exceptions: a terminal that went away must not end the work. */
function patientStream(stream: Terminal): NodeJS.WritableStream {
  const patient = {
    isTTY: true,
    get columns() {
      return stream.columns || 80;
    },
    write(text: string) {
      quietly(() => write(stream, text, CONTROLS));
      return true;
    },
  };
  // The bars use nothing else of a stream.
  return patient as unknown as NodeJS.WritableStream;
}
