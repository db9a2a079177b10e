/**
 * The simulator as a process of its own: `npx tsx test/simulator/main.ts --rows 20000`.
 * Prints one JSON line when ready; everything else goes over HTTP (`/_simulator/…`).
 */
import { parseArgs } from 'node:util';
import { startSimulator } from './index.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    rows: { type: 'string', default: '20000' },
    /** Repeatable: `module.model=count`. */
    'rows-of': { type: 'string', multiple: true, default: [] },
    seed: { type: 'string', default: '1' },
    rate: { type: 'string', default: '0' },
    'latency-ms': { type: 'string', default: '0' },
    'time-zone': { type: 'string', default: 'UTC' },
    'api-key': { type: 'string', default: 'simulator-key' },
    edition: { type: 'string', default: 'both' },
    profile: { type: 'string', default: 'documented' },
    'ugly-text': { type: 'string', default: '0' },
    'webhook-url': { type: 'string' },
    /** Repeatable: `Name: value`. */
    'webhook-header': { type: 'string', multiple: true, default: [] },
    'changes-per-second': { type: 'string', default: '0' },
  },
});

const pair = (text: string, separator: string): [string, string] => {
  const cut = text.indexOf(separator);
  if (cut < 0) throw new Error(`expected name${separator}value: ${text}`);
  return [text.slice(0, cut).trim(), text.slice(cut + 1).trim()];
};

const simulator = await startSimulator({
  port: Number(values.port),
  rows: Number(values.rows),
  rowsPerModel: Object.fromEntries(
    values['rows-of'].map((text) => pair(text, '=')).map(([name, count]) => [name, Number(count)]),
  ),
  seed: Number(values.seed),
  requestsPerSecond: Number(values.rate),
  latencyMs: Number(values['latency-ms']),
  timeZone: values['time-zone'],
  apiKey: values['api-key'],
  edition: values.edition === 'flowlu' || values.edition === 'aspro' ? values.edition : 'both',
  uglyText: Number(values['ugly-text']),
  profile: values.profile === 'as-seen' ? 'as-seen' : 'documented',
});

if (values['webhook-url'] !== undefined) {
  const headers = Object.fromEntries(values['webhook-header'].map((text) => pair(text, ':')));
  simulator.webhooks.configure({ mode: 'live', url: values['webhook-url'], headers, retries: 3 });
}

const TICK_MS = 50;
const perTick = (Number(values['changes-per-second']) * TICK_MS) / 1000;
let owed = 0;
const ticking =
  perTick > 0
    ? setInterval(() => {
        for (owed += perTick; owed >= 1; owed--) simulator.portal.randomChange();
      }, TICK_MS)
    : undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(ticking);
    void simulator.close();
  });
}

const { baseUrl, controlUrl, apiKey } = simulator;
process.stdout.write(`${JSON.stringify({ ready: true, baseUrl, controlUrl, apiKey, pid: process.pid })}\n`);
