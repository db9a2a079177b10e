/** How well webhooks cover what happens: what they announced, against what had to be found without them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { foreignNames, readCoverage } from '../../src/status/coverage.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';

let mirror: Mirror;

beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: { 'crm.account': 30, 'crm.lead': 30, 'st.projects': 30 } });
  await mirror.fill('crm.account', 'crm.lead', 'st.projects');
});
afterAll(() => mirror.close());

it('says which models are announced, which in part, and what to tick for those that are not', async () => {
  const { portal } = mirror.portal;
  const update = (model: string, id: number, name: string) => portal.update(model, id, { name });
  await mirror.deliver(update('crm.account', 1, 'a'), update('crm.account', 2, 'b'), update('crm.lead', 1, 'c'));
  const repeated = update('crm.account', 3, 'd');
  await mirror.deliver(repeated, repeated);
  update('crm.lead', 2, 'never announced');
  update('st.projects', 2, 'never announced');
  await mirror.sql`update sync.schedule set missed = 1 where model in ('crm.lead', 'st.projects')`;
  const coverage = new Map((await readCoverage(mirror.sql)).map((one) => [one.model, one]));
  expect(coverage.get('crm.account')).toMatchObject({
    deliveries: 4,
    repeats: 1,
    changes: 3,
    found: 0,
    told: 'complete',
  });
  expect(coverage.get('crm.lead')).toMatchObject({ changes: 1, found: 1, told: expect.stringContaining('50 %') });
  expect(coverage.get('st.projects')).toMatchObject({
    deliveries: 0,
    found: 1,
    told: 'changes come, nobody announces them: tick create, update and delete of st.projects in Flowlu',
  });
});

it('shows names that webhooks alone use, with what they may mean', async () => {
  await mirror.sql`
    insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
    values ('finance', 'invoice', 1, '{"id":1}', clock_timestamp(), 'webhook', gen_random_uuid())`;
  expect(await foreignNames(mirror.sql)).toEqual([
    { name: 'finance.invoice', rows: 1, suggestions: expect.arrayContaining(['fin.invoice']) },
  ]);
});
