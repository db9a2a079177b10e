/** Whether the ready-made views can tell what the portal's numbers mean: codes without a word, invoices that no view counts. */
import { type Sql, within } from '../postgres/connection.ts';
import { UNNAMED_CODES } from '../reports/codes.ts';
import { namesOf, ok, type Report, warn } from './check.ts';

const ANSWER_MAX_MS = 10_000;

export async function checkNumbers(sql: Sql, report: Report): Promise<void> {
  await checkCodes(sql, report);
  const [row] = await within(
    sql<{ uncounted: number; rule: string }[]>`
      select (select count(*)::int from flowlu_reports.invoices
               where not is_issued and total > 0 and due_date < (select in_force::date from flowlu_reports.definitions where term = 'today')) as uncounted,
             (select in_force from flowlu_reports.definitions where term = 'issued') as rule`,
    ANSWER_MAX_MS,
  );
  const { uncounted = 0, rule = '' } = row ?? {};
  if (uncounted === 0) return report(ok('invoices', `${rule}; every invoice past due is counted`));
  report(
    warn(
      'invoices',
      `${rule}; ${uncounted} past due are not issued by that rule and in no view of what is owed`,
      "if they were sent to customers: insert into flowlu_reports.code_labels values ('fin.invoice', 'status_id', 10, 'new', 'issued')",
    ),
  );
}

async function checkCodes(sql: Sql, report: Report): Promise<void> {
  const rows = await within(sql.unsafe<{ code: string }[]>(UNNAMED_CODES), ANSWER_MAX_MS);
  if (rows.length === 0) return report(ok('codes', 'every code that amounts depend on has a word'));
  report(
    warn(
      'codes',
      `without a word: ${namesOf(rows.map(({ code }) => code))}`,
      'look them up in the portal, then insert into flowlu_reports.code_labels (model, field, code, label, counts_as); its comments say how',
    ),
  );
}
