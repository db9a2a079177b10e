import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { DOCUMENTED_SCOPES } from '../../src/catalog/scopes.ts';
import { allows, neededScopes, readPermissions } from '../../src/manifest/scopes.ts';

const pick = (...names: readonly string[]) => models.filter(({ name }) => names.includes(name));
const permissions = (scopes: ReturnType<typeof neededScopes>) => scopes.map(({ permission }) => permission);

describe('the scopes that models need', () => {
  it('only ever read, one for each group of models', () => {
    const scopes = neededScopes(pick('crm.account', 'crm.phones', 'crm.lead', 'task.tasks', 'task.lists'), []);
    expect(scopes).toEqual([
      { permission: 'crm.accounts.read', basis: 'assigned', models: ['crm.account', 'crm.phones'] },
      { permission: 'crm.deals.read', basis: 'documented', models: ['crm.lead'] },
      { permission: 'task.read', basis: 'documented', models: ['task.lists', 'task.tasks'] },
    ]);
    expect(neededScopes([], [])).toEqual([]);
  });

  it('are marked as guessed where nobody documents a code', () => {
    const guessed = neededScopes(models, []).filter(({ basis }) => basis === 'guessed');
    for (const { permission } of guessed) expect(DOCUMENTED_SCOPES.has(permission.replace(/\.read$/, ''))).toBe(false);
    expect(permissions(guessed)).toContain('agile.read');
  });

  it('shrink to the scope of a whole module where one is asked for', () => {
    const rules = [{ pattern: 'crm.source', code: 'crm' }];
    expect(permissions(neededScopes(pick('crm.account', 'crm.lead', 'crm.source', 'fin.invoice'), rules))).toEqual([
      'crm.read',
      'fin.read',
    ]);
  });

  it('take the codes of the settings, the one for the very model first, and leave out what needs none', () => {
    const rules = [
      { pattern: 'agile.*', code: 'agile.boards' },
      { pattern: 'agile.issues', code: 'task' },
      { pattern: 'core.tag', code: null },
    ];
    expect(neededScopes(pick('agile.issues', 'agile.epics', 'core.tag'), rules)).toEqual([
      { permission: 'agile.boards.read', basis: 'configured', models: ['agile.epics'] },
      { permission: 'task.read', basis: 'configured', models: ['agile.issues'] },
    ]);
  });

  it('allow every chosen model, are fewest possible, and depend on no order', () => {
    const rule = fc.record({
      pattern: fc.constantFrom('crm.*', 'crm.lead', 'fin.*', 'fin.invoice', 'core.tag', 'task.tasks'),
      code: fc.constantFrom('crm', 'crm.deals', 'crm.other', 'fin', 'fin.invoices', 'task', null),
    });
    const rules = fc.uniqueArray(rule, { selector: ({ pattern }) => pattern });
    fc.assert(
      fc.property(fc.shuffledSubarray([...models]), rules, (chosen, given) => {
        const scopes = neededScopes(chosen, given);
        const granted = readPermissions(permissions(scopes));
        for (const model of chosen) expect(allows(granted, model, given)).toBe(true);
        for (const { permission } of scopes) {
          expect(permission).toMatch(/\.read$/);
          const without = readPermissions(permissions(scopes).filter((other) => other !== permission));
          expect(chosen.some((model) => !allows(without, model, given))).toBe(true);
        }
        expect(neededScopes(chosen.toReversed(), given)).toEqual(scopes);
      }),
      { numRuns: 300 },
    );
  });
});

describe('permissions', () => {
  it('amount to the highest level of each code, and to the module where it stands beside its parts', () => {
    const { levels, unknown } = readPermissions([
      'crm.read',
      'crm.full',
      'crm.accounts.full',
      'task.read',
      'tasks.create',
    ]);
    expect([...levels]).toEqual([
      ['crm', 'full'],
      ['task', 'read'],
    ]);
    expect(unknown).toEqual(['tasks.create']);
  });

  it('of another module that begins with the same letters allow nothing', () => {
    const [lead] = pick('crm.lead');
    if (lead === undefined) throw new Error('no such model');
    for (const permission of ['cr.read', 'crm.deal.read', 'crm.accounts.read', 'crmdeals.read']) {
      expect(allows(readPermissions([permission]), lead, []), permission).toBe(false);
    }
    expect(allows(readPermissions(['crm.full']), lead, [])).toBe(true);
  });
});
