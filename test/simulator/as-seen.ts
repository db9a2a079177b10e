/**
 * The profile `as-seen`: what clients saw on live tenants in 2026, where that differs from the documentation.
 * Its faults are the portal's ordinary behaviour, so a test that clears faults puts these back (`restoreProfile`).
 */
import type { Faults } from './faults.ts';
import type { SimRecord, Value } from './json.ts';

export type PortalProfile = 'documented' | 'as-seen';

/** Rows on a page, whatever is asked for. */
const AS_SEEN_PAGE = 25;

export const asSeenFaults = (): Faults => ({
  limitCap: { value: AS_SEEN_PAGE },
  ignoreOrder: true,
  ignoreFilters: { value: 'structured' },
  wholeTotals: true,
  emptyDates: { value: '' },
  webhookEntities: true,
  webhookNames: true,
});

/** Names in webhooks that differ from those in the API. */
const WEBHOOK_NAMES: Readonly<Record<string, readonly [module: string, model: string]>> = {
  'st.projects': ['st', 'project'],
  'task.tasks': ['task', 'task'],
  'crm.lead': ['crm', 'leads'],
};

/** The name that a webhook gives the model of a record. */
export function webhookName(name: string, record: SimRecord | null): readonly [module: string, model: string] {
  if (name === 'crm.account') return ['crm', Number(record?.type) === 2 ? 'contact' : 'company'];
  const [module = '', model = ''] = name.split('.');
  return WEBHOOK_NAMES[name] ?? [module, model];
}

/** A text as the webhooks of some tenants spell it: entities for the characters of HTML, Windows' ends of lines. */
export function withEntities(value: Value): Value {
  if (typeof value !== 'string') return value;
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#039;')
    .replaceAll(/\r?\n/g, '\r\n');
}
