/** What people did, month by month. */
import { c, type View, view } from '../views/view.ts';
import type { Terms } from './definitions.ts';
import { byMonth } from './report.ts';

export function activity({ is, zone }: Terms): readonly View[] {
  const counted = (what: string, comment: string) => c.count(`count(*) filter (where did.what = '${what}')`, comment);
  return [
    view({
      name: 'activity_by_person',
      grain: 'month and person',
      key: ['month', 'person_id'],
      comment: 'What each person did in each month of the portal’s time zone: deals, tasks, invoices, hours',
      columns: {
        month: c.day('did.month', 'First day of the month; none where the day is not known'),
        ...c.linked('person', 'did.person_id', 'User', 'core.user', 'max(person.name)'),
        deals_created: counted('deal created', 'Deals that the person created'),
        deals_won: counted('deal won', 'Deals won under their responsibility'),
        deals_lost: counted('deal lost', 'Deals lost under their responsibility'),
        tasks_completed: counted(
          'task completed',
          'Tasks that the person completed; the person responsible, where Flowlu does not say who did',
        ),
        invoices_issued: counted('invoice', 'Issued invoices under their responsibility'),
        quotes_made: counted('quote', 'Estimates under their responsibility'),
        hours: c.amount(`trim_scale(round(coalesce(sum(did.seconds), 0) / 3600.0, 5))`, 'Hours logged'),
      },
      from: `(
  select l.month, l.created_by as person_id, 'deal created' as what, null::bigint as seconds from ${byMonth('crm_lead', 'l', 'l.created_date', is.deal, { zone })} l
   union all
  select l.month, l.assignee_id, case when ${is.won_deal} then 'deal won' else 'deal lost' end, null
    from ${byMonth('crm_lead', 'l', 'l.closing_date', `${is.deal} and (${is.won_deal} or ${is.lost_deal})`)} l
   union all
  select t.month, coalesce(t.closed_by, t.responsible_id), 'task completed', null
    from ${byMonth('task_tasks', 't', 't.closed_date', `${is.task} and ${is.completed_task}`, { zone })} t
   union all
  select i.month, i.assignee_id, 'invoice', null from ${byMonth('fin_invoice', 'i', 'i.invoice_date', `${is.invoice} and ${is.issued}`)} i
   union all
  select e.month, e.assignee_id, 'quote', null from ${byMonth('fin_estimate', 'e', 'e.invoice_date', is.quote)} e
   union all
  select g.month, g.user_id, 'time', g.time_spent from ${byMonth('timetracker_timelogs', 'g', 'g.start_timestamp', is.time_log, { zone })} g
) did`,
      group: 'did.month, did.person_id',
    }),
  ];
}
