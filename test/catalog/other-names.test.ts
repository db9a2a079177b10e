/** Whatever a model is called outside, it is found; and no name is taken from a model that has it. */
import { describe, expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { catalogueName, namesOf, readName, similarNames } from '../../src/catalog/other-names.ts';
import { readAnnouncement } from '../../src/delivery/delivery.ts';

describe('other names of models', () => {
  it.each([
    ['st', 'project', 'st.projects'],
    ['task', 'task', 'task.tasks'],
    ['crm', 'leads', 'crm.lead'],
    ['crm', 'deal', 'crm.lead'],
    ['CRM', 'Deals', 'crm.lead'],
    ['crm', 'contact', 'crm.account'],
    ['crm', 'client', 'crm.account'],
    ['crm', 'companies', 'crm.account'],
    ['crm', 'accounts', 'crm.account'],
    ['fin', 'invoices', 'fin.invoice'],
    ['any', 'crm/deal', 'crm.lead'],
    ['st', 'st/project', 'st.projects'],
    ['agile', 'issue', 'agile.issues'],
    ['products', 'categories', 'products.category'],
    ['asset', 'asset', 'asset.asset'],
  ])('%s and %s mean %s', (module, model, name) => {
    expect(Object.values(readName(module, model)).join('.')).toBe(name);
    const announcement = readAnnouncement(
      JSON.stringify({ meta: { module, model, action: 'delete' }, previous: { id: 5 } }),
    );
    expect(`${announcement.module}.${announcement.model}`).toBe(name);
  });

  it('leave every model its own name, and belong to one model each', () => {
    for (const { name } of models) expect(catalogueName(name)).toBe(name);
    const all = models.flatMap(({ name }) => namesOf(name));
    expect(new Set(all).size).toBe(all.length);
  });

  it('are suggested where nothing is known', () => {
    expect(similarNames('finance.invoice')[0]).toBe('fin.invoice');
    expect(similarNames('crm.deal_stages')).toContain('crm.pipeline_stage');
    expect(similarNames('crm.leed')).toEqual(['crm.lead']);
    expect(similarNames('asset.asset')).toEqual([]);
  });
});
