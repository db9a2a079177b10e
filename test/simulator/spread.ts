/** How many rows each model starts with. */
import { models, nameOf } from './catalog.ts';
import { DEFINITION_COUNT, FIELDSET_COUNT, OPTION_COUNT } from './custom-fields.ts';

/** Models that stay small however large the portal is. */
const SMALL: Readonly<Record<string, number>> = {
  'customfields.fields': DEFINITION_COUNT,
  'customfields.fieldoptions': OPTION_COUNT,
  'customfields.fieldsets': FIELDSET_COUNT,
  'core.user': 30,
  'core.tag': 25,
  'crm.account_category': 6,
  'crm.honorific_title': 5,
  'crm.industry': 18,
  'crm.loss_reason': 7,
  'crm.pipeline': 4,
  'crm.pipeline_stage': 24,
  'crm.source': 9,
  'fin.organization': 3,
  'fin.bank_account': 8,
  'fin.bank_account_group': 3,
  'fin.business_line': 5,
  'fin.categories': 10,
  'products.pricelist': 4,
  'products.units': 12,
  'products.store': 3,
  'products.manufacturer': 20,
  'products.category': 30,
  'agile.issue_type': 5,
  'agile.issue_relation_names': 6,
  'agile.issue_relation_types': 4,
  'agile.workflows': 3,
  'agile.stages': 15,
  'st.project_types': 6,
  'task.workflows': 4,
  'task.stages': 20,
  'company.absencetypes': 5,
  'knowledgebase.knowledgebases': 3,
  'knowledgebase.statuses': 4,
  'calendar.calendar': 10,
  'customlists.lists': 4,
};

/** Shares of the rest; a model named nowhere has the share 2. */
const SHARES: Readonly<Record<string, number>> = {
  'task.tasks': 220,
  'crm.account': 150,
  'timetracker.timelogs': 120,
  'fin.invoice_item': 100,
  'fin.transaction': 90,
  'crm.lead': 80,
  'fin.invoice': 60,
  'crm.lead_accounts': 40,
  'agile.issues': 40,
  'timetracker.timesheets': 30,
  'fin.plan_money': 30,
  'products.product': 25,
  'crm.emails': 20,
  'crm.phones': 20,
  'task.followers': 20,
  'st.projects': 10,
  'system.files': 1,
};
const DEFAULT_SHARE = 2;

/**
 * Spreads `rows` over all models, so that the counts add up to `rows` exactly. A portal too small for
 * its dictionaries gets proportionally smaller ones. `exact` counts replace those of single models.
 */
export function spreadRows(rows: number, exact: Readonly<Record<string, number>> = {}): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const smallTotal = Object.values(SMALL).reduce((sum, count) => sum + count, 0);
  const shrink = Math.min(1, rows / (2 * smallTotal));
  let left = rows;
  for (const [name, count] of Object.entries(SMALL)) {
    const scaled = Math.floor(count * shrink);
    counts.set(name, scaled);
    left -= scaled;
  }
  const large = models.map(nameOf).filter((name) => !(name in SMALL));
  const shareOf = (name: string): number => SHARES[name] ?? DEFAULT_SHARE;
  const shares = large.reduce((sum, name) => sum + shareOf(name), 0);
  const pool = left;
  for (const name of large) {
    const count = Math.floor((pool * shareOf(name)) / shares);
    counts.set(name, count);
    left -= count;
  }
  counts.set('task.tasks', (counts.get('task.tasks') ?? 0) + left);
  for (const [name, count] of Object.entries(exact)) {
    if (!counts.has(name)) throw new Error(`no such model in the simulated portal: ${name}`);
    counts.set(name, count);
  }
  return counts;
}
