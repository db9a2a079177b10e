/** The data that is measured with: records of one length, different in every row, and what they become elsewhere. */
import { findModel } from '../src/catalog/index.ts';
import type { Field, Model } from '../src/catalog/types.ts';

/** The model of the webhooks: twenty-one columns, as many as the peer's customers have. */
export const WEBHOOK_MODEL = modelOf('st.project_money_stage');
/** The models of the bulk measures: all of about that width, all with a version. */
export const BULK_MODELS: readonly Model[] = [
  WEBHOOK_MODEL,
  ...['loans.loan', 'knowledgebase.knowledgebases', 'timetracker.timelogs'].map(modelOf),
];

function modelOf(name: string): Model {
  const model = findModel(name);
  if (model === undefined || model.version === null) throw new Error(`the catalogue has no versioned model ${name}`);
  return model;
}

/** Versions begin here, far enough back to give each of a great many changes a second of its own. */
const FIRST_VERSION_S = Math.floor(Date.now() / 1_000) - 300 * 86_400;

/** The moment of change number `change`, in Unix seconds: one second after the change before. */
export const versionSeconds = (change: number): number => FIRST_VERSION_S + change;

/** Unix seconds as Flowlu writes a date-time, in UTC. */
export const flowluTime = (seconds: number): string =>
  new Date(seconds * 1_000).toISOString().slice(0, 19).replace('T', ' ');

const WORDS = (
  'invoice contract meeting delivery customer warehouse payment schedule agreed review project manager ' +
  'deadline quarter proposal supplier discount approval shipping annual report account follow call monday budget'
).split(' ');

/** Prose of a given length: neither random bytes nor one letter repeated, since PostgreSQL compresses long values. */
function prose(length: number, seed: number): string {
  let text = '';
  for (let state = seed + 1; text.length < length; ) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    text += `${WORDS[state % WORDS.length]} `;
  }
  return text.slice(0, length);
}

/** Variants of the long text, so that neighbouring rows differ. */
const VARIANTS = 64;

/** Makes records of one model. */
export interface RecordMaker {
  readonly model: Model;
  /** A record's JSON text; the same id and change make the same text. */
  json(id: number, change: number, time?: string): string;
  /** The record's typed columns, as COPY and single-row statements want them. */
  values(id: number, change: number): readonly (string | null)[];
}

/** A maker of records whose JSON has about `bytes` bytes. */
export function recordMaker(model: Model, bytes: number): RecordMaker {
  const fields = Object.entries(model.fields);
  const longest = fields.find(([name]) => name.endsWith('description'))?.[0] ?? 'description';
  const title = titleField(model);
  const plain = fields.filter(([name]) => !['id', title, longest, model.version].includes(name));
  const samples = plain.map(([name, field], index) => [name, sampleOf(field, index)] as const);
  const middle = samples.map(([name, value]) => `"${name}":${JSON.stringify(value)}`).join(',');
  const build = (id: number, change: number, text: string, time: string) =>
    `{"id":${id},"${title}":"${titleOf(id, change)}",${middle},"${longest}":"${text}","${model.version}":"${time}"}`;
  const missing = Math.max(0, bytes - build(1_000_000, 0, '', flowluTime(0)).length);
  const texts = Array.from({ length: VARIANTS }, (_, variant) => prose(missing, variant));
  const textOf = (id: number, change: number) => texts[(id + change) % VARIANTS] as string;
  return {
    model,
    json: (id, change, time = flowluTime(versionSeconds(change))) => build(id, change, textOf(id, change), time),
    values(id, change) {
      const known: Readonly<Record<string, string>> = {
        id: String(id),
        [title]: titleOf(id, change),
        [longest]: textOf(id, change),
        [model.version as string]: flowluTime(versionSeconds(change)),
        ...Object.fromEntries(samples.map(([name, value]) => [name, String(value)])),
      };
      return fields.map(([name]) => known[name] ?? null);
    },
  };
}

/** The field that tells in every record how often it has changed. */
export function titleField({ fields }: Model): string {
  return Object.entries(fields).find(([, { kind }]) => kind === 'text')?.[0] ?? 'name';
}

const titleOf = (id: number, change: number) => `Stage ${id}, state ${change}`;

function sampleOf({ kind }: Field, index: number): string | number {
  switch (kind) {
    case 'id':
    case 'link':
      return 1_000 + index;
    case 'integer':
      return 10 * index;
    case 'code':
    case 'flag':
      return 1;
    case 'decimal':
      return `${1_234 + index}.50`;
    case 'date':
      return '2026-03-14';
    case 'datetime':
      return '2026-03-14 15:09:26';
    case 'unix':
      return 1_773_500_966;
    case 'text':
      return `text ${index}`;
  }
}

/** The peer's record of the same length: a customer with its twenty-one properties. */
export function peerCustomer(id: number, change: number, bytes: number): Record<string, unknown> {
  const customer = {
    id: `cus_${id}`,
    object: 'customer',
    address: { city: 'Berlin', country: 'DE', line1: 'Street 1', line2: null, postal_code: '10115', state: null },
    description: '',
    email: `customer${id}@example.com`,
    metadata: { order: '6735', segment: 'retail' },
    name: titleOf(id, change),
    phone: '+4930123456',
    shipping: null,
    balance: change,
    created: FIRST_VERSION_S,
    currency: 'eur',
    default_source: null,
    delinquent: false,
    discount: null,
    invoice_prefix: '0759376C',
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: false,
    next_invoice_sequence: 1,
    preferred_locales: [],
    tax_exempt: 'none',
  };
  const missing = Math.max(0, bytes - JSON.stringify(customer).length);
  return { ...customer, description: prose(missing, (id + change) % VARIANTS) };
}
