import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { LosslessNumber } from 'lossless-json';
import { describe, expect, it } from 'vitest';
import { type JsonObject, parseJson, stringifyJson } from '../../src/core/json.ts';
import { checkPrivacy } from '../../src/privacy/check.ts';
import { createPrivacy, type PrivacyRules } from '../../src/privacy/policy.ts';

const KEY = 'a-key-of-thirty-two-characters-or-more';
const field = (name: string) => {
  const [module = '', model = '', own = ''] = name.split('.');
  return { model: `${module}.${model}`, field: own };
};
const rules = (omit: readonly string[], hash: readonly string[] = []): PrivacyRules => ({
  omit: omit.map(field),
  hash: hash.map(field),
  hashSecret: KEY,
});

/** The settings of most tests, with the definitions of three custom fields. */
const ALIASES = new Map([
  ['cf_Passport', ['cf_12']],
  ['cf_nickname_value', ['cf_13']],
  ['cf_colour', ['cf_14']],
  ['cf_segment', ['cf_12', 'cf_15']],
]);
const RULES = rules(['crm.account.vat', 'crm.account.cf_12'], ['crm.account.phone', 'crm.account.cf_13']);

function protect(record: JsonObject, model = 'crm.account', chosen = RULES): JsonObject {
  const privacy = createPrivacy(chosen, () => ALIASES);
  if (privacy === null) throw new Error('no privacy settings');
  return privacy.protect(model, record);
}

const hashOf = (text: string) => `hmac:${createHmac('sha256', KEY).update(text).digest('hex')}`;

describe('a protected value', () => {
  it('is found in a record that stands within one of another model', () => {
    const lead = {
      id: 1,
      vat: 'own',
      account: { id: 7, vat: 'x', phone: '1', name: 'Ada' },
      stage: { vat: 'no record' },
    };
    const account = { id: 7, phone: hashOf('1'), name: 'Ada' };
    expect(protect(lead, 'crm.lead')).toEqual({ ...lead, account });
    expect(protect({ list: JSON.stringify([lead.account]) }, 'crm.lead')).toEqual({ list: JSON.stringify([account]) });
    const untouched = { id: 1, stage: { id: 3, name: 'won' } };
    expect(protect(untouched, 'crm.lead')).toBe(untouched);
  });

  it('is found under an alias that another field has, too', () => {
    expect(protect({ cf_segment: 'x', cf_colour: 'red' })).toEqual({ cf_colour: 'red' });
  });

  it('is found in texts that are JSON, and beside the name of its field', () => {
    expect(protect({ more: '{"vat": "x", "note": ["y"]}' })).toEqual({ more: '{"note":["y"]}' });
    expect(
      protect({
        log: [
          { field: 'cf_12', old: 'x', new: 'y', by: 3 },
          { field: 'note', old: 'a', new: 'b' },
        ],
      }),
    ).toEqual({
      log: [
        { field: 'cf_12', by: 3 },
        { field: 'note', old: 'a', new: 'b' },
      ],
    });
    expect(
      protect({
        log: [
          { field_id: 12, old: 'x', new: 'y' },
          { custom_field_id: '13', value: 'z' },
          { field_id: 14, value: 'red' },
        ],
        changes: [
          ['vat', 'x', 'y'],
          ['phone', '1'],
          ['note', 'a', 'b'],
        ],
        twice: JSON.stringify(JSON.stringify({ vat: 'x', note: 'y' })),
        marked: '\ufeff {"vat":"x","note":"y"}',
      }),
    ).toEqual({
      log: [{ field_id: 12 }, { custom_field_id: '13', value: hashOf('z') }, { field_id: 14, value: 'red' }],
      changes: [['vat'], ['phone', hashOf('1')], ['note', 'a', 'b']],
      twice: JSON.stringify(JSON.stringify({ note: 'y' })),
      marked: '{"note":"y"}',
    });
    const hashed = { changes: [['phone', hashOf('1')]] };
    expect(protect(hashed)).toBe(hashed);
    const untouched = { text: '{ no JSON', list: '[1, 2]', quoted: '"so", she said', names: ['vat', 'a', 'b', 'c'] };
    expect(protect(untouched)).toBe(untouched);
  });
});

describe('a protected record', () => {
  it('lacks what is to be left out, however its name is spelt', () => {
    for (const key of [
      'vat',
      'VAT',
      'Vat',
      'cf_12',
      'CF_12',
      'cf_12_value',
      'cf_Passport',
      'cf_passport',
      'cf_Passport_value',
    ]) {
      expect(protect({ id: 1, [key]: 'DE 123' }), key).toEqual({ id: 1 });
    }
  });

  it('holds a keyed hash in place of what is to be hashed, labels and second names included', () => {
    for (const key of ['phone', 'PHONE', 'cf_13', 'cf_13_value', 'cf_nickname_value', 'cf_nickname_value_value']) {
      expect(protect({ id: 1, [key]: '+49 30 1' }), key).toEqual({ id: 1, [key]: hashOf('+49 30 1') });
    }
  });

  it('keeps equal values equal, whatever spelling and path they come by', () => {
    const phoneOf = (value: string) => protect(parseJson(`{"phone": ${value}}`) as JsonObject).phone;
    expect(phoneOf('4930')).toBe(phoneOf('"4930"'));
    expect(phoneOf('49301234567890123456')).toBe(phoneOf('"49301234567890123456"'));
    expect(phoneOf('true')).toBe(hashOf('1'));
    expect(phoneOf('{"b": 1, "a": 2}')).toBe(phoneOf('{"a": 2, "b": 1}'));
    expect(phoneOf('"x"')).not.toBe(phoneOf('"X"'));
  });

  it('leaves nothing as nothing, and a hash as it is', () => {
    expect(protect({ phone: '' })).toEqual({ phone: '' });
    expect(protect({ phone: null })).toEqual({ phone: null });
    const once = protect({ phone: 'x' });
    expect(protect(once)).toBe(once);
    // Only a whole hash counts as one.
    expect(protect({ phone: `${hashOf('x')} and more` }).phone).not.toContain('and more');
  });

  it('is the very record where there is nothing to protect', () => {
    const record = { id: 1, name: 'ACME', cf_14: 'blue', cf_colour: 'blue', cf_99: 'x', nested: [{ a: 1 }] };
    expect(protect(record)).toBe(record);
    const other = { id: 1, phone: 'of another model' };
    expect(protect(other, 'crm.lead')).toBe(other);
  });

  it('counts a custom field whose alias nobody knows as protected, in the stronger way', () => {
    expect(protect({ id: 1, cf_brand_new: 'x', cf_brand_new_value: 'y' })).toEqual({ id: 1 });
    const onlyHashed = rules([], ['crm.account.cf_13']);
    expect(protect({ cf_brand_new: 'x' }, 'crm.account', onlyHashed)).toEqual({ cf_brand_new: hashOf('x') });
    const noCustom = rules(['crm.account.vat']);
    expect(protect({ cf_brand_new: 'x' }, 'crm.account', noCustom)).toEqual({ cf_brand_new: 'x' });
  });

  it('is protected within, in objects, lists and the array that describes custom fields', () => {
    const record = {
      id: 1,
      contacts: [{ Phone: 'p', vat: 'v', name: 'n' }],
      customfields: [
        { id: '12', title: 'Passport', alias: 'passport', type: 'text', value: 'secret' },
        { id: 13, title: 'Nick', type: 'text', value: 'secret', value_label: 'secret' },
        { id: '14', title: 'Colour', value: 'blue' },
        { title: 'which one?', value: 'secret' },
      ],
    };
    expect(protect(record)).toEqual({
      id: 1,
      contacts: [{ Phone: hashOf('p'), name: 'n' }],
      customfields: [
        { id: 13, title: 'Nick', type: 'text', value: hashOf('secret'), value_label: hashOf('secret') },
        { id: '14', title: 'Colour', value: 'blue' },
      ],
    });
    const byNumber = { customfields: { 12: { value: 'secret' }, 13: 'secret', 14: { value: 'blue' } } };
    expect(protect(byNumber)).toEqual({ customfields: { 13: hashOf('secret'), 14: { value: 'blue' } } });
  });

  it('of a model that nobody knows is protected as if it were any of them', () => {
    expect(protect({ id: 1, vat: 'v', phone: 'p', cf_12: 'x' }, 'crm.contact')).toEqual({ id: 1, phone: hashOf('p') });
  });

  it('never holds a planted value under any spelling of a protected name, at any depth', () => {
    const SECRET = 'pl4nted-5ecret';
    const spelling = fc
      .constantFrom('vat', 'phone', 'cf_12', 'cf_13', 'cf_passport', 'cf_nickname_value', 'cf_unheard_of')
      .chain((name) =>
        fc
          .tuple(fc.array(fc.boolean(), { minLength: name.length, maxLength: name.length }), fc.boolean())
          .map(([upper, label]) => {
            const cased = [...name].map((letter, at) => (upper[at] ? letter.toUpperCase() : letter)).join('');
            return label && name.startsWith('cf_') ? `${cased}_value` : cased;
          }),
      );
    const value = fc.constantFrom<unknown>(SECRET, [SECRET], { deep: [SECRET] });
    const leaf = fc.tuple(spelling, value).map(([key, own]) => ({ [key]: own, other: 1 }));
    const record = fc.oneof(
      leaf,
      leaf.map((own) => ({ id: 1, nested: own })),
      leaf.map((own) => ({ id: 1, list: [[own], 'x'] })),
    );
    fc.assert(
      fc.property(record, fc.constantFrom('crm.account', 'crm.unheard_of'), (own, model) => {
        expect(stringifyJson(protect(own as unknown as JsonObject, model))).not.toContain(SECRET);
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps the digits of exact numbers beside what is protected', () => {
    const record = { id: new LosslessNumber('9007199254740993'), phone: 'p' };
    expect(stringifyJson(protect(record))).toContain('9007199254740993');
  });
});

describe('the settings', () => {
  it('cost nothing when there are none', () => {
    expect(createPrivacy({ omit: [], hash: [], hashSecret: null }, () => undefined)).toBeNull();
  });

  it('have a fingerprint that their order does not change, and the key does, without telling it', () => {
    const fingerprint = (chosen: PrivacyRules) => createPrivacy(chosen, () => undefined)?.fingerprint;
    expect(fingerprint(rules(['a.b.c', 'a.b.d']))).toBe(fingerprint(rules(['a.b.d', 'a.b.c'])));
    expect(fingerprint(RULES)).not.toBe(fingerprint({ ...RULES, hashSecret: `${KEY}2` }));
    expect(fingerprint(RULES)).not.toContain(KEY.slice(0, 8));
  });

  it.each([
    [['crm.account.updated_date'], [], /which of two states is newer/],
    [['customfields.fields.alias'], [], /which custom fields are to be protected/],
    [[], ['crm.account.owner_id'], /no text \(link\)/],
    [[], ['task.tasks.deadline'], /no text/],
  ])('are refused where they cannot be kept to: %j %j', (omit, hash, problem) => {
    expect(checkPrivacy(rules(omit, hash), []).problems).toEqual([expect.stringMatching(problem)]);
  });

  it.each([
    ['crm.account.emial', /^crm\.account\.emial is no known field \(did you mean crm\.account\.email\?\)/],
    ['crm.account.phne', /did you mean crm\.account\.phone\?/],
    ['crm.acount.email', /no model is called crm\.acount \(did you mean crm\.account\?\)/],
    ['crm.zebra.name', /no model is called crm\.zebra; .*FLOWLU_EXTRA_MODELS/],
  ])('are refused where %s is misspelt, which would protect nothing', (name, problem) => {
    const { problems, unknown } = checkPrivacy(rules([name]), []);
    expect(problems).toEqual([expect.stringMatching(problem)]);
    expect(unknown).toEqual([]);
  });

  it('take fields that Flowlu may have without the catalogue knowing them', () => {
    const fields = ['crm.account.zodiac_sign', 'crm.account.phones', 'crm.account.phone', 'nowhere.thing.name'];
    const { problems, unknown } = checkPrivacy(rules([...fields, 'crm.zebra.name', 'crm.account.cf_1']), ['crm.zebra']);
    expect(problems).toEqual([]);
    expect(unknown).toEqual(['crm.account.zodiac_sign', 'crm.account.phones', 'nowhere.thing.name']);
  });
});
