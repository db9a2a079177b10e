import { Command } from 'commander';
import { findModel } from '../../catalog/index.ts';
import { splitName } from '../../catalog/name.ts';
import { type Json, stringifyJson } from '../../core/json.ts';
import { formatMicros } from '../../core/time.ts';
import { FlowluError, NotFoundError } from '../../flowlu/errors.ts';
import { problemOf } from '../../service/authorization.ts';
import { openClientsIfAny, type Session } from '../../service/session.ts';
import { headerWords } from '../../status/words.ts';
import { changesBetween, type Explanation, explain, type FieldChange } from '../../story/explain.ts';
import { printLine, printTable } from '../../terminal/output.ts';
import { requireId, requireKnownModel, requireModelName } from '../arguments.ts';
import { EXIT } from '../exit-codes.ts';
import { runWithSession } from '../run.ts';

/** What the portal says of the record now. */
type ApiView =
  | { readonly says: 'present'; readonly observed_at: string; readonly differences: readonly FieldChange[] }
  | { readonly says: 'absent'; readonly observed_at: string }
  | { readonly says: 'nothing'; readonly reason: string };

/** Longest value shown on a line. */
const MAX_SHOWN = 60;
/** Changed fields shown per delivery; `--json` has them all. */
const MAX_CHANGES = 12;

export const explainCommand = new Command('explain')
  .argument('<model>', 'module.model')
  .argument('<id>', "the record's id")
  .option('--no-api', 'do not ask the API for the current record')
  .action((word: string, id: string, { api }: { api: boolean }, command: Command) =>
    runWithSession(
      command,
      'look',
      async (session, { signal }) => {
        const name = requireModelName(word);
        const table = { name, model: findModel(name) ?? null };
        const story = await explain(session.sql, table, requireId(id), session.shapes.of(table));
        const isKnown = story.row !== null || story.deliveries_total > 0;
        requireKnownModel(name, isKnown);
        const said = api ? await askApi(session, name, story, signal) : null;
        return {
          // Not by way of plain JSON, which would round what is exact.
          data: stringifyJson({ ...story, api: said } as unknown as Json),
          print: () => printStory(story, said),
          exitCode: isKnown && agrees(story, said) ? EXIT.done : EXIT.finding,
        };
      },
      { check: () => [requireId(id), requireModelName(word)] },
    ),
  );

/** Whether the mirror holds what the portal says, if anything; what was erased on request is no difference. */
function agrees({ row }: Explanation, said: ApiView | null): boolean {
  if (said === null || said.says === 'nothing' || row?.source === 'erased') return true;
  const isLive = row?.state === 'live';
  return said.says === 'absent' ? !isLive : isLive && said.differences.length === 0;
}

/** Null where the settings name no right to ask. */
async function askApi(
  session: Session,
  name: string,
  story: Explanation,
  signal: AbortSignal,
): Promise<ApiView | null> {
  const { module, model } = splitName(name);
  try {
    const client = (await openClientsIfAny(session))?.client ?? null;
    if (client === null) return null;
    const { record, observedAt } = await client.get({ module, model, name }, story.id, signal);
    const shape = session.shapes.of({ name, model: findModel(name) ?? null });
    const differences = changesBetween(shape, story.row?.record ?? null, record);
    return { says: 'present', observed_at: formatMicros(observedAt), differences };
  } catch (error) {
    if (error instanceof NotFoundError) return { says: 'absent', observed_at: formatMicros(error.observedAt) };
    if (error instanceof FlowluError) return { says: 'nothing', reason: problemOf(error, session.config).sentence };
    throw error;
  }
}

function printStory(story: Explanation, said: ApiView | null): void {
  printRow(story);
  if (story.doubt !== null) {
    const { reason, since, attempts, last_error } = story.doubt;
    const tried =
      attempts === 0 ? '' : `; asked the API ${attempts} times${last_error === null ? '' : ` (${last_error})`}`;
    printLine(`Doubtful since ${since}: ${reason}${tried}`);
  }
  printHistory(story);
  if (said !== null) printApi(story, said);
}

function printRow({ model, id, table, row }: Explanation): void {
  if (row === null) {
    printLine(`${model} ${id}: the mirror has no row of it in ${table}.`);
    return;
  }
  const because = row.deleted_because === null ? '' : ` (${row.deleted_because})`;
  const ended = row.deleted_at === null ? '' : ` since ${row.deleted_at}${because}`;
  printLine(`${model} ${id}: ${row.state}${ended}, in ${table}`);
  if (row.source === 'erased') {
    printLine('It was erased on request; the mirror holds its id and nothing else.\n');
    return;
  }
  const source = row.source === 'api' ? 'the API' : 'a webhook';
  printLine(
    `Last changed in the portal ${row.version ?? 'at an unknown time'}; learnt from ${source}, ${row.observed_at}`,
  );
  printLine();
  const values = Object.entries(row.values).filter(([name]) => name !== 'id');
  printTable(values, [
    ['field', ([name]) => name],
    ['value', ([, value]) => shown(value)],
  ]);
  printLine();
}

/** Everything that the row went through, in order: what webhooks told, and what readings through the API changed. */
function printHistory({ row, deliveries, deliveries_total, api_changes: read }: Explanation): void {
  const omitted = deliveries_total - deliveries.length;
  if (omitted > 0) printLine(`Of ${deliveries_total} deliveries the newest ${deliveries.length}:`);
  else if (deliveries_total === 0) printLine('No delivery in the ledger is about it.');
  if (row?.source === 'api' && read.length === 0)
    printLine('No change is recorded: the row is as the API told it when it was first read.');
  const told = deliveries.map(({ id, received_at: at, action, version, told: words, changes, headers }) => {
    const of = version === null ? '' : ` of version ${version}`;
    const sent = headers !== null && Object.keys(headers).length > 0 ? [`      sent with ${headerWords(headers)}`] : [];
    return { at, lines: [`  webhook ${id}  ${at}  ${action ?? 'unknown'}${of}: ${words}`, ...sent], changes };
  });
  const found = read.map(({ observed_at: at, path, change, changes }) => {
    const how = path === 'get' ? 'the record was asked for' : 'a list was read';
    return { at, lines: [`  API  ${at}  ${change} when ${how}`], changes };
  });
  for (const { lines, changes } of [...told, ...found].toSorted((a, b) => (a.at < b.at ? -1 : 1))) {
    for (const line of lines) printLine(line);
    printChanges(changes);
  }
}

function printChanges(changes: readonly FieldChange[]): void {
  for (const { field, from, to } of changes.slice(0, MAX_CHANGES)) {
    printLine(`      ${shownText(field)}: ${shown(from)} → ${shown(to)}`);
  }
  if (changes.length > MAX_CHANGES) printLine(`      and ${changes.length - MAX_CHANGES} fields more`);
}

function printApi({ row }: Explanation, said: ApiView): void {
  const isLive = row?.state === 'live';
  if (said.says === 'nothing') printLine(`The API does not say: ${said.reason}`);
  else if (said.says === 'absent') {
    printLine(
      isLive
        ? 'The API says now that it does not exist, yet the row is live.'
        : 'The API says now that it does not exist.',
    );
  } else if (!isLive) printLine('The API has it now; the mirror does not.');
  else if (said.differences.length === 0) printLine('The API says the same now.');
  else {
    printLine('The API says otherwise now (mirror → API):');
    printChanges(said.differences);
  }
}

function shown(value: Json | undefined): string {
  return value === undefined ? 'absent' : shownText(stringifyJson(value));
}

/** A value from the portal must neither move the cursor nor fill the screen. */
function shownText(text: string): string {
  const clean = text.replace(/\p{Cc}+/gu, ' ');
  return clean.length > MAX_SHOWN ? `${clean.slice(0, MAX_SHOWN - 1)}…` : clean;
}
