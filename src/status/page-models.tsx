/** The models on the status page: by module, the largest first, those without rows folded. */

import { splitName } from '../catalog/name.ts';
import { groupBy } from '../core/group.ts';
import { Ago, TableHead } from './page-parts.tsx';
import type { ReportedModel } from './report.ts';
import { count, span, withoutRows } from './words.ts';

export interface ModelsProps {
  readonly models: readonly ReportedModel[];
  readonly now: string;
  /** Part of the names to be shown; empty for all. */
  readonly search: string;
}

export function Models({ models, now, search }: ModelsProps) {
  const found = models.filter(({ model }) => model.includes(search.trim().toLowerCase()));
  const filled = found.filter(isWorthShowing);
  const others = withoutRows(found.filter((model) => !isWorthShowing(model)));
  const modules = [...groupBy(filled, ({ model }) => splitName(model).module)].toSorted(
    ([, a], [, b]) => rowsOf(b) - rowsOf(a),
  );
  const most = Math.max(1, ...modules.map(([, own]) => rowsOf(own)));
  return (
    <section aria-labelledby="models">
      <h2 id="models">Models</h2>
      <form method="get" action="/status">
        <input id="search" type="search" name="q" value={search} placeholder="crm, task…" aria-label="Search models" />
        <button type="submit">Search</button>
      </form>
      {found.length === 0 ? <p class="muted">No model has “{search}” in its name.</p> : null}
      <div class="card">
        {modules.map(([module, own], index) => (
          <Module {...{ module, own, now, most }} isOpen={index === 0 || search !== '' || own.some(hasTrouble)} />
        ))}
        {others.map(({ id, words, models: own }) => (
          <details id={id} open={search !== '' && filled.length === 0}>
            <summary id={`${id}-summary`}>{words}</summary>
            <p class="inside muted">{own.map(({ model }) => model).join(', ')}</p>
          </details>
        ))}
      </div>
    </section>
  );
}

interface ModuleProps {
  readonly module: string;
  readonly own: readonly ReportedModel[];
  readonly now: string;
  readonly most: number;
  readonly isOpen: boolean;
}

function Module({ module, own, now, most, isOpen }: ModuleProps) {
  const trouble = own.filter(hasTrouble).length;
  return (
    <details id={`module-${module}`} open={isOpen}>
      <summary id={`module-${module}-summary`}>
        <b>{module}</b>
        <span class="muted">{count(own.length, 'model')}</span>
        {trouble === 0 ? null : <span class="care flag">{trouble} to look at</span>}
        <span class="n">{count(rowsOf(own), 'row')}</span>
        <span class="share" style={`--w:${((100 * rowsOf(own)) / most).toFixed(1)}%`} />
      </summary>
      <div class="inside">
        <table>
          <TableHead
            columns={[
              ['Model'],
              ['Rows', 'n'],
              ['Deleted', 'n wide'],
              ['Doubtful', 'n wide'],
              ['Announced', 'n wide'],
              ['Last change', 'n wide'],
              ['Compared', 'n'],
              ['Lost ones show', 'n wide', 'How soon a change or a delete shows that no webhook announces'],
            ]}
          />
          <tbody>
            {own
              .toSorted((a, b) => b.rows - a.rows)
              .map((model) => (
                <Row model={model} now={now} />
              ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function Row({ model, now }: { readonly model: ReportedModel; readonly now: string }) {
  const { rows, deleted_rows, doubtful_rows, last_change_at, last_reconciled_at } = model;
  const note = model.unread ?? model.last_error;
  return (
    <tr>
      <th scope="row">
        {splitName(model.model).model}
        {note === null ? null : (
          <p class="care small">
            <span class="flag">{note}</span>
          </p>
        )}
      </th>
      <td class="n">{count(rows)}</td>
      <td class="n wide">{some(deleted_rows)}</td>
      <td class="n wide">{some(doubtful_rows)}</td>
      <td class="n wide">
        {model.coverage === null ? (
          <span class="muted">–</span>
        ) : (
          <span title={model.coverage.told}>{shareOf(model.coverage.share)}</span>
        )}
      </td>
      <td class="n wide">
        <Ago at={last_change_at} now={now} />
      </td>
      <td class="n">
        <Ago at={last_reconciled_at} now={now} />
      </td>
      <td class="n wide">{model.read_share === 1 ? expected(model) : readSoFar(model)}</td>
    </tr>
  );
}

const shareOf = (share: number | null) => (share === null ? '–' : `${Math.floor(100 * share)} %`);
const expected = ({ change_shows_seconds, delete_shows_seconds }: ReportedModel) =>
  [change_shows_seconds, delete_shows_seconds].map((seconds) => (seconds === null ? '–' : span(seconds))).join(' / ');
const readSoFar = ({ read_share }: ReportedModel) =>
  read_share === null ? <span class="muted">–</span> : `${shareOf(read_share)} read`;
const some = (number: number) => (number === 0 ? <span class="muted">–</span> : count(number));
const rowsOf = (models: readonly ReportedModel[]) => models.reduce((sum, { rows }) => sum + rows, 0);
const hasTrouble = ({ unread, last_error }: ReportedModel) => unread !== null || last_error !== null;
const isWorthShowing = (model: ReportedModel) => model.rows + model.deleted_rows > 0 || hasTrouble(model);
