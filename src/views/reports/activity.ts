/** What people did, month by month. */
import { c, monthIn, type View, view } from '../view.ts';
import type { Terms } from './definitions.ts';
import { monthOf } from './report.ts';

export function activity({ is, zone }: Terms): readonly View[] {
  const month = (at: string) => monthIn(zone, at);
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
  select ${month('l.created_date')} as month, l.created_by as person_id, 'deal created' as what, null::bigint as seconds from flowlu.crm_lead l where ${is.deal}
   union all
  select ${monthOf('l.closing_date')}, l.assignee_id, case when ${is.won_deal} then 'deal won' else 'deal lost' end, null
    from flowlu.crm_lead l where ${is.deal} and (${is.won_deal} or ${is.lost_deal})
   union all
  select ${month('t.closed_date')}, coalesce(t.closed_by, t.responsible_id), 'task completed', null from flowlu.task_tasks t where ${is.task} and ${is.completed_task}
   union all
  select ${monthOf('i.invoice_date')}, i.assignee_id, 'invoice', null from flowlu.fin_invoice i where ${is.invoice} and ${is.issued}
   union all
  select ${monthOf('e.invoice_date')}, e.assignee_id, 'quote', null from flowlu.fin_estimate e where ${is.quote}
   union all
  select ${month('g.start_timestamp')}, g.user_id, 'time', g.time_spent from flowlu.timetracker_timelogs g where ${is.time_log}
) did`,
      group: 'did.month, did.person_id',
    }),
  ];
}
