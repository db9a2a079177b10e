/** The status page: one self-contained document, no script, nothing from elsewhere. */
import { html, raw } from 'hono/html';
import type { SecretUse } from '../intake/secret-use.ts';
import type { StatusReport } from './report.ts';
import { foreignWords, grantWords, portalWords, refusalWords } from './words.ts';

interface PageData extends StatusReport {
  readonly version: string;
  readonly generated_at: string;
  readonly webhook_secrets: readonly SecretUse[];
}

const STYLE = `
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; margin: .5rem 0 2rem; font-variant-numeric: tabular-nums; }
  th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
  td.n, th.n { text-align: right; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
  dt { opacity: .7; } dd { margin: 0; }
  .bad { color: #c33; font-weight: 600; }`;

/** Renders the page. */
export function renderPage(data: PageData) {
  const { deliveries, doubtful_rows, failed_deliveries, runs, models } = data;
  const filled = models.filter(({ rows, deleted_rows }) => rows + deleted_rows > 0);
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta http-equiv="refresh" content="15">
  <title>flowlu-mirror</title>
  <style>${raw(STYLE)}</style>
</head>
<body>
  <h1>flowlu-mirror</h1>
  <dl>
    <dt>Version</dt><dd>${data.version}</dd>
    <dt>As of</dt><dd>${moment(data.generated_at)}</dd>
    <dt>Deliveries</dt><dd>${deliveries.total} received, last ${moment(deliveries.last_received_at)}</dd>
    <dt>Waiting to be applied</dt><dd>${deliveries.pending}</dd>
    <dt>Could not be applied</dt><dd class="${deliveries.failed > 0 ? 'bad' : ''}">${deliveries.failed}</dd>
    <dt>Turned away</dt><dd>${deliveries.rejected}</dd>
    <dt>Doubtful rows</dt><dd>${doubtful_rows}</dd>
    ${data.key_refused === null ? '' : html`<dt>Flowlu</dt><dd class="bad">${refusalWords(data.key_refused)}</dd>`}
    ${data.portal.length === 0 ? '' : html`<dt>The portal</dt><dd>${portalWords(data.portal)}</dd>`}
    ${data.unread_models.map(
      ({ model, outcome, reason }) =>
        html`<dt>Not read in full</dt><dd class="bad">${model}: ${outcome}, ${reason ?? ''}</dd>`,
    )}
    ${data.oauth === null ? '' : html`<dt>Login at Flowlu</dt><dd class="${data.oauth.state === 'refused' ? 'bad' : ''}">${grantWords(data.oauth)}</dd>`}
    ${data.webhook_secrets.map(
      ({ position, last_used_at }) =>
        html`<dt>Webhook secret ${position}</dt><dd>last used ${last_used_at === null ? 'never' : moment(last_used_at)}</dd>`,
    )}
  </dl>
  <h2>Models</h2>
  <table>
    <tr><th>Model</th><th class="n">Rows</th><th class="n">Deleted</th><th class="n">Doubtful</th><th>Last change</th><th>In step with Flowlu</th>
      <th class="n">Read</th><th class="n">Announced</th><th class="n">Compared within</th><th class="n">A lost change shows</th><th class="n">A lost delete shows</th></tr>
    ${filled.map(
      (row) => html`<tr><td>${row.model}</td><td class="n">${row.rows}</td><td class="n">${row.deleted_rows}</td>
        <td class="n">${row.doubtful_rows}</td><td>${moment(row.last_change_at)}</td><td>${moment(row.last_reconciled_at)}</td>
        <td class="n">${percent(row.read_share)}</td><td class="n">${percent(row.announced_share)}</td>
        <td class="n">${span(row.oldest_compared_seconds)}</td><td class="n">${span(row.change_shows_seconds)}</td><td class="n">${span(row.delete_shows_seconds)}</td></tr>`,
    )}
  </table>
  ${filled.length === 0 ? html`<p>Nothing is mirrored yet.</p>` : ''}
  ${
    data.webhooks.length === 0
      ? ''
      : html`<h2>Webhooks</h2>
  <table><tr><th>Model</th><th class="n">Deliveries</th><th class="n">Repeats</th><th class="n">Changes announced</th><th class="n">Found without</th><th>Last</th><th>In words</th></tr>
    ${data.webhooks.map(
      (row) => html`<tr><td>${row.model}</td><td class="n">${row.deliveries}</td><td class="n">${row.repeats}</td>
        <td class="n">${row.changes}</td><td class="n">${row.found}</td><td>${moment(row.last_at)}</td><td>${row.told}</td></tr>`,
    )}
    ${data.foreign_names.map(
      ({ name, rows, suggestions }) =>
        html`<tr><td>${name}</td><td class="n">${rows}</td><td colspan="5">${foreignWords(suggestions)}</td></tr>`,
    )}</table>`
  }
  ${
    failed_deliveries.length === 0
      ? ''
      : html`<h2>Deliveries without effect</h2>
  <table><tr><th>Id</th><th>Received</th><th>Status</th><th>Model</th><th>Reason</th></tr>
    ${failed_deliveries.map(
      (row) => html`<tr><td>${row.id}</td><td>${moment(row.received_at)}</td><td>${row.status}</td>
        <td>${row.model ?? '–'}</td><td>${row.reason ?? '–'}</td></tr>`,
    )}</table>`
  }
  <h2>Last runs</h2>
  <table><tr><th>Kind</th><th>Status</th><th>Started</th><th>Finished</th></tr>
    ${runs.map(
      (run) =>
        html`<tr><td>${run.kind}</td><td>${run.status}</td><td>${moment(run.started_at)}</td><td>${moment(run.finished_at)}</td></tr>`,
    )}</table>
</body>
</html>`;
}

function moment(iso: string | null): string {
  return iso === null ? '–' : `${iso.slice(0, 19).replace('T', ' ')} UTC`;
}

function percent(share: number | null): string {
  return share === null ? '–' : `${Math.floor(100 * share)} %`;
}

function span(seconds: number | null): string {
  if (seconds === null) return '–';
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
