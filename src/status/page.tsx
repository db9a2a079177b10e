/** The status page: one self-contained document that works without its script, which only keeps it current. */

import { html, raw } from 'hono/html';
import { foreignWords } from '../catalog/other-names.ts';
import type { FirstReading } from '../store/listings.ts';
import type { Finding } from './finding.ts';
import type { Assessment, State } from './findings.ts';
import { Charts } from './page-charts.tsx';
import { Models } from './page-models.tsx';
import { Ago, FindingCard, Icon, moment, Since, TableHead, ToType, Words } from './page-parts.tsx';
import { SCRIPT, STYLE } from './page-style.ts';
import type { StatusReport } from './report.ts';
import { count, grantWords, napWords, portalWords, took } from './words.ts';

const SIGNS: Readonly<Record<State, string>> = { bad: '✖', care: '!', reading: '…', good: '✔' };
/** Of the icon in the browser's tab, which knows no dark mode. */
const COLOURS: Readonly<Record<State, string>> = {
  bad: '#d33a31',
  care: '#d98a00',
  reading: '#4a78e8',
  good: '#24a05a',
};

/** Renders the page. @param search part of the names of models to be shown; empty for all */
export function renderPage(report: StatusReport, search = '') {
  const { first_reading, generated_at: now } = report;
  const headline = headlineOf(report);
  const others = report.findings.filter((finding) => finding !== headline && finding.code !== 'first_reading');
  return frame(
    report,
    report.portal,
    <>
      <header>
        <b>flowlu-mirror</b>
        <span>
          {report.portal ?? 'no portal yet'} → {report.database}
        </span>
        <span class="now small">
          as of <time datetime={now}>{moment(now)}</time>
        </span>
      </header>
      <main>
        <Hero assessment={report} now={now}>
          {report.state === 'reading' && first_reading !== null ? <Progress reading={first_reading} /> : null}
        </Hero>
        <Findings findings={others} now={now} />
        <Tiles report={report} />
        <h2>The last day</h2>
        <Charts report={report} />
        <Models models={report.models} now={now} search={search} />
        <Failures report={report} />
        <Runs report={report} />
        <About report={report} />
      </main>
    </>,
  );
}

export function renderAway(assessment: Assessment) {
  const now = new Date().toISOString();
  return frame(
    assessment,
    null,
    <main>
      <Hero assessment={assessment} now={now} />
    </main>,
  );
}

/** The finding that the page begins with; null where nothing is wrong. */
const headlineOf = ({ state, findings }: Assessment) =>
  state === 'bad' || state === 'care' ? (findings[0] ?? null) : null;

function Findings({ findings, now }: { readonly findings: readonly Finding[]; readonly now: string }) {
  if (findings.length === 0) return null;
  return (
    <ul class="findings" aria-label="Findings">
      {findings.map((finding) => (
        <FindingCard finding={finding} now={now} />
      ))}
    </ul>
  );
}

function frame({ state, headline }: Assessment, portal: string | null, content: unknown) {
  const dot = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="${COLOURS[state]}"/></svg>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<noscript><meta http-equiv="refresh" content="15"></noscript>
<title>${SIGNS[state]} ${headline} · ${portal ?? 'flowlu-mirror'}</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(dot)}">
<style>${raw(STYLE)}</style>
</head>
<body>
<div id="live">${content}</div>
<div id="lost" role="status" hidden>The mirror does not answer: what you see is no longer current.</div>
<script>${raw(SCRIPT)}</script>
</body>
</html>`;
}

interface HeroProps {
  readonly assessment: Assessment;
  readonly now: string;
  readonly children?: unknown;
}

function Hero({ assessment, now, children }: HeroProps) {
  const { state, headline, sentence } = assessment;
  const finding = headlineOf(assessment);
  return (
    <div class={`hero ${state}`}>
      <Icon kind={state} />
      <div>
        <h1>
          <Words text={headline} />
        </h1>
        {finding === null ? null : <Since finding={finding} now={now} />}
        {sentence === '' ? null : (
          <p>
            <Words text={`${sentence}.`} />
          </p>
        )}
        {finding === null ? null : <ToType finding={finding} />}
        {children}
      </div>
    </div>
  );
}

function Progress({ reading: { rows, rowsExpected, modelsDone, models } }: { readonly reading: FirstReading }) {
  // Neither tells the whole: small models cost a request each, large ones many.
  const done = Math.round(50 * (rows / Math.max(1, rowsExpected) + modelsDone / models));
  return (
    <progress max="100" value={done} aria-label="First reading">
      {done} %
    </progress>
  );
}

function Tiles({ report }: { readonly report: StatusReport }) {
  const { deliveries, doubtful_rows, models, generated_at: now } = report;
  const compared = models.flatMap(({ last_reconciled_at }) => last_reconciled_at ?? []).toSorted()[0] ?? null;
  const rows = models.reduce((sum, model) => sum + model.rows, 0);
  const tiles = [
    { name: 'rows mirrored', value: count(rows) },
    { name: 'last webhook', value: <Ago at={deliveries.last_received_at} now={now} /> },
    { name: 'oldest comparison', value: <Ago at={compared} now={now} /> },
    { name: 'waiting to be applied', value: count(deliveries.pending) },
    { name: 'could not be applied', value: count(deliveries.failed), isWarning: deliveries.failed > 0 },
    { name: 'doubtful rows', value: count(doubtful_rows) },
  ];
  return (
    <ul class="tiles">
      {tiles.map(({ name, value, isWarning = false }) => (
        <li class={isWarning ? 'card warn' : 'card'}>
          <b>{value}</b>
          <span class="muted small">{name}</span>
        </li>
      ))}
    </ul>
  );
}

function Failures({ report: { failed_deliveries, generated_at: now } }: { readonly report: StatusReport }) {
  if (failed_deliveries.length === 0) return null;
  return (
    <section aria-labelledby="failures">
      <h2 id="failures">Rejected and failed webhooks</h2>
      <div class="card inside">
        <table>
          <TableHead columns={[['Delivery'], ['Model'], ['Why'], ['Received', 'n']]} />
          <tbody>
            {failed_deliveries.map(({ id, received_at, status, model, reason }) => (
              <tr>
                <th scope="row">{id}</th>
                <td>{model ?? '–'}</td>
                <td>
                  <span class={status === 'failed' ? 'care flag' : 'muted'}>{status}</span> {reason}
                </td>
                <td class="n">
                  <Ago at={received_at} now={now} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Runs shown; the data has more. */
const RUNS_SHOWN = 10;
const MOODS: Readonly<Record<string, State>> = { done: 'good', failed: 'bad', running: 'reading' };

function Runs({ report: { runs, running, generated_at: now } }: { readonly report: StatusReport }) {
  return (
    <section aria-labelledby="runs">
      <h2 id="runs">Work</h2>
      {runs.length === 0 ? (
        <p class="muted">Nothing has run yet.</p>
      ) : (
        <div class="card inside">
          <table>
            <TableHead
              columns={[
                ['Run'],
                ['Outcome'],
                ['Requests', 'n wide'],
                ['Rows written', 'n wide'],
                ['Took', 'n'],
                ['Began', 'n'],
              ]}
            />
            <tbody>
              {runs.slice(0, RUNS_SHOWN).map((run) => (
                <tr>
                  <th scope="row">{run.kind}</th>
                  <td>
                    <span class={`flag ${MOODS[run.status] ?? 'care'}`}>{run.status}</span>
                    {run.status === 'running' && running !== null ? (
                      <p class="small">
                        {count(running.models, 'model')} done, {count(running.rows, 'row')} so far
                      </p>
                    ) : null}
                    {run.reasons.map((reason) => (
                      <p class="small">{reason}</p>
                    ))}
                  </td>
                  <td class="n wide">{optional(run.status === 'running' ? running?.requests : run.requests)}</td>
                  <td class="n wide">{optional(run.rows_written)}</td>
                  <td class="n">{took(run.started_at, run.finished_at ?? now)}</td>
                  <td class="n">
                    <Ago at={run.started_at} now={now} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const optional = (number: number | null | undefined) => (number == null ? '–' : count(number));

function About({ report }: { readonly report: StatusReport }) {
  const {
    version,
    database,
    portal,
    deliveries,
    webhook_secrets,
    oauth,
    portal_facts,
    foreign_names,
    generated_at: now,
  } = report;
  const naps = napWords(report.database_sleep_seconds);
  return (
    <section aria-labelledby="about">
      <h2 id="about">About</h2>
      <dl class="card">
        <dt>Version</dt>
        <dd>
          flowlu-mirror {version}, Node.js {process.versions.node}
        </dd>
        <dt>Portal</dt>
        <dd>{portal ?? 'not asked yet'}</dd>
        {portal_facts.length === 0 ? null : (
          <>
            <dt>What it does</dt>
            <dd>{portalWords(portal_facts)}</dd>
          </>
        )}
        {foreign_names.map(({ name, rows, suggestions }) => (
          <>
            <dt>Webhooks speak of {name}</dt>
            <dd>
              {count(rows, 'row')}; {foreignWords(suggestions)}
            </dd>
          </>
        ))}
        <dt>Database</dt>
        <dd>
          {database}
          {naps === null ? '' : `; ${naps}`}
        </dd>
        <dt>Webhooks</dt>
        <dd>
          {count(deliveries.total)} kept, {count(deliveries.rejected)} of them rejected
        </dd>
        {webhook_secrets.map(({ position, last_used_at }) => (
          <>
            <dt>Webhook secret {position}</dt>
            <dd>last used {last_used_at === null ? 'never' : <Ago at={last_used_at} now={now} />}</dd>
          </>
        ))}
        {oauth === null ? null : (
          <>
            <dt>Login at Flowlu</dt>
            <dd>{grantWords(oauth, now)}</dd>
          </>
        )}
      </dl>
    </section>
  );
}
