/** Small charts of the last day, as inline SVG. */
import { QUARTERS } from '../store/deliveries/reports.ts';
import type { StatusReport } from './report.ts';
import { count, span } from './words.ts';

const WIDTH = 288;
const HEIGHT = 72;
const STEP = WIDTH / QUARTERS;
const QUARTER_MS = 900_000;

export function Charts({ report }: { readonly report: StatusReport }) {
  const { requests_per_quarter: budget } = report;
  const values = (pick: (quarter: StatusReport['day'][number]) => number | null) => quartersOf(report, pick);
  const perMinute = values(({ deliveries }) => deliveries / 15);
  const lag = values(({ lag_s }) => lag_s);
  const requests = values(({ requests: number }) => number);
  const used = requests.reduce<number>((sum, number) => sum + (number ?? 0), 0);
  const share = budget === 0 ? count(used, 'request') : `${percent(used / (budget * QUARTERS))} used`;
  return (
    <div class="charts">
      <Chart
        title="Webhooks a minute"
        values={perMinute}
        summary={`${count(report.day.reduce((sum, { deliveries }) => sum + deliveries, 0))} in all`}
        peak={(peak) => `peak ${peak < 10 ? peak.toFixed(1) : count(Math.round(peak))} a minute`}
      />
      <Chart
        title="From change to mirror"
        values={lag}
        summary={
          lag.every((value) => value === null) ? 'no dated change' : `lately half of them within ${span(lastOf(lag))}`
        }
        peak={(peak) => `at worst half of them within ${span(peak)}`}
      />
      <Chart
        title="Requests to Flowlu"
        values={requests}
        summary={share}
        limit={budget}
        peak={(peak) =>
          budget === 0 ? `peak ${count(peak)} in 15 min` : `peak ${percent(peak / budget)} of the budget`
        }
      />
    </div>
  );
}

interface ChartProps {
  readonly title: string;
  readonly summary: string;
  /** One for each quarter of an hour, the oldest first; null where there is nothing to show. */
  readonly values: readonly (number | null)[];
  readonly peak: (value: number) => string;
  readonly limit?: number;
}

function Chart({ title, summary, values, peak, limit = 0 }: ChartProps) {
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  // The limit is drawn where it is near enough not to flatten the bars.
  const showsLimit = limit > 0 && limit < most * 4;
  const top = Math.max(most, showsLimit ? limit : 0) * 1.05;
  const y = (value: number) => (top === 0 ? HEIGHT : HEIGHT - (value / top) * (HEIGHT - 2));
  const bars = values
    .map((value, index) => (value === null || value === 0 ? '' : `M${x(index)} ${HEIGHT}V${y(value).toFixed(1)}`))
    .join('');
  const words = most === 0 ? 'nothing in the last day' : peak(most);
  return (
    <figure class="card">
      <figcaption>
        <b>{title}</b>
        <span class="muted small">{summary}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}, the last day: ${words}`}
      >
        <path class="base" d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} />
        <path class="bars" stroke-width="2.2" d={bars} />
        {showsLimit ? <path class="limit" d={`M0 ${y(limit).toFixed(1)}H${WIDTH}`} /> : null}
      </svg>
      <div class="axis muted small">
        <span>24 h ago</span>
        <span>{words}</span>
        <span>now</span>
      </div>
    </figure>
  );
}

const x = (index: number) => (index * STEP + STEP / 2).toFixed(1);
const percent = (share: number) => `${share > 0 && share < 0.01 ? '< 1' : Math.round(share * 100)} %`;
const lastOf = (values: readonly (number | null)[]) => values.findLast((value) => value !== null) ?? 0;

function quartersOf(
  { day, generated_at }: StatusReport,
  pick: (quarter: StatusReport['day'][number]) => number | null,
) {
  const last = Math.floor(Date.parse(generated_at) / QUARTER_MS);
  const values = new Array<number | null>(QUARTERS).fill(null);
  for (const quarter of day) {
    const index = QUARTERS - 1 - (last - Math.floor(Date.parse(quarter.at) / QUARTER_MS));
    if (index >= 0 && index < QUARTERS) values[index] = pick(quarter);
  }
  return values;
}
