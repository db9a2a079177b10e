import { describe, expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { buildManifest, type ManifestFacts } from '../../src/manifest/build.ts';
import { diffManifests, isSame } from '../../src/manifest/diff.ts';
import { manifestSchema } from '../../src/manifest/schema.ts';
import { neededScopes } from '../../src/manifest/scopes.ts';
import sample from './sample.json' with { type: 'json' };

const facts: ManifestFacts = {
  version: '1.2.3',
  publicUrl: 'https://mirror.example.com',
  appId: null,
  contact: null,
  scopes: [],
  webhookUrl: null,
};
const chosen = (...patterns: readonly RegExp[]) =>
  models.filter(({ name }) => patterns.some((pattern) => pattern.test(name)));
const manifestOf = (...patterns: readonly RegExp[]) =>
  buildManifest({ ...facts, scopes: neededScopes(chosen(...patterns), []) });
const namesOf = (...patterns: readonly RegExp[]) => new Set(chosen(...patterns).map(({ name }) => name));

describe('the schema', () => {
  it('accepts the manifest that Flowlu documents, and fields that nobody has documented', () => {
    expect(manifestSchema.parse(sample)).toEqual(sample);
    expect(manifestSchema.safeParse({ ...sample, apiEndpoints: {} }).success).toBe(true);
  });

  it.each([
    ['version', '1.0'],
    ['version', 'one'],
    ['entrypointURL', 'mirror.example.com'],
    ['entrypointURL', 'javascript:alert(1)'],
    ['webhookURL', ''],
    ['permissions', 'crm.read'],
    ['permissions', ['crm']],
    ['platformVersion', '2.0'],
    ['author', { name: 'x' }],
    ['appId', ''],
  ])('refuses %s: %j', (field, value) => {
    expect(manifestSchema.safeParse({ ...sample, [field]: value }).success).toBe(false);
  });

  it.each(Object.keys(sample).filter((field) => !['webhookURL', 'configuration'].includes(field)))(
    'needs %s',
    (field) => {
      const { [field as keyof typeof sample]: _, ...rest } = sample;
      expect(manifestSchema.safeParse(rest).success).toBe(false);
    },
  );
});

describe('the manifest', () => {
  it('has every documented field, names the page of the mirror, and no webhook address unless asked', () => {
    const manifest = manifestOf(/^crm\./);
    expect(Object.keys(manifest).toSorted()).toEqual(
      Object.keys(sample)
        .filter((key) => key !== 'webhookURL')
        .toSorted(),
    );
    expect(manifest).toMatchObject({
      appId: 'com.example.mirror',
      version: '1.2.3',
      entrypointURL: 'https://mirror.example.com/app',
      permissions: ['crm.accounts.read', 'crm.deals.read'],
      author: { contact: 'https://mirror.example.com' },
    });
    const webhookUrl = 'https://mirror.example.com/webhooks/flowlu/secret';
    expect(buildManifest({ ...facts, webhookUrl }).webhookURL).toBe(webhookUrl);
  });

  it('makes an id of any address', () => {
    const idOf = (publicUrl: string) => buildManifest({ ...facts, publicUrl }).appId;
    expect(idOf('https://acme.org/mirror')).toBe('org.acme');
    expect(idOf('https://10.0.0.1:8443')).toBe('local.flowlu-mirror');
    expect(idOf('https://[::1]:8443')).toBe('local.flowlu-mirror');
    expect(buildManifest({ ...facts, appId: 'my.own' }).appId).toBe('my.own');
  });
});

describe('a comparison', () => {
  const diff = (before: readonly RegExp[], after: readonly RegExp[]) =>
    diffManifests(manifestOf(...before), manifestOf(...after), models, namesOf(...after), []);

  it('of a manifest with itself, or with itself in another order, finds nothing', () => {
    expect(isSame(diff([/^crm\./, /^fin\./], [/^fin\./, /^crm\./]))).toBe(true);
    const manifest = manifestOf(/^crm\./);
    const reordered = manifestSchema.parse(
      JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(manifest).reverse()))),
    );
    expect(isSame(diffManifests(reordered, manifest, models, new Set(), []))).toBe(true);
  });

  it('names the scopes and webhooks that a wider configuration adds', () => {
    const wider = diff([/^task\./], [/^task\./, /^calendar\./]);
    expect(wider).toMatchObject({
      scopes_added: ['calendar.read'],
      scopes_removed: [],
      triggers_removed: [],
      fields: [],
    });
    expect(wider.triggers_added).toEqual([{ model: 'calendar.calendar', actions: ['create', 'update', 'delete'] }]);
  });

  it('names the webhooks that Flowlu removes, of models too that were never mirrored but allowed', () => {
    const narrower = diff([/^crm\./, /^loans\./], [/^crm\.lead$/]);
    expect(narrower.scopes_removed).toEqual(['crm.accounts.read', 'loans.read']);
    expect(narrower.triggers_added).toEqual([]);
    const gone = narrower.triggers_removed.map(({ model }) => model);
    expect(gone).toEqual(
      models.filter(({ scope }) => ['crm.accounts', 'loans'].includes(scope)).map(({ name }) => name),
    );
  });

  it('knows that a scope for a whole module covers its parts: no webhook goes or comes', () => {
    const whole = { ...manifestOf(/^crm\./), permissions: ['crm.full'] };
    const narrowed = diffManifests(whole, manifestOf(/^crm\./), models, namesOf(/^crm\./), []);
    expect(narrowed).toMatchObject({
      scopes_added: ['crm.accounts.read', 'crm.deals.read'],
      scopes_removed: ['crm.full'],
      triggers_added: [],
      triggers_removed: [],
    });
  });

  it('tells of every other field that changes, and of permissions that nobody understands', () => {
    const other = diffManifests(manifestSchema.parse(sample), manifestOf(/^crm\./), models, namesOf(/^crm\./), []);
    expect(other.scopes_unknown).toEqual(['tasks.create']);
    expect(other.fields.map(({ field }) => field)).toContain('appId');
    expect(other.fields.find(({ field }) => field === 'webhookURL')?.to).toBeNull();
  });
});
