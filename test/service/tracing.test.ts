/** Spans as a receiver of OpenTelemetry gets them: OTLP over HTTP, read without the SDK. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { telemetryEnvironment } from '../../src/config/index.ts';
import { createLogger } from '../../src/core/log.ts';
import { startTracing } from '../../src/core/tracing.ts';
import { runHere } from '../e2e/command.ts';
import { startService } from '../intake/service.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';

/** A message of protobuf: the number of each field, and its bytes; numbers themselves are left out. */
function* fieldsOf(message: Buffer): Generator<readonly [field: number, bytes: Buffer]> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++] as number;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const [field, type] = [key >> 3, key & 7];
    if (type === 0) varint();
    else {
      const length = type === 2 ? varint() : type === 1 ? 8 : 4;
      yield [field, message.subarray(at, at + length)];
      at += length;
    }
  }
}
const within = (message: Buffer, ...path: readonly number[]): readonly Buffer[] =>
  path.reduce<readonly Buffer[]>(
    (messages, wanted) =>
      messages.flatMap((one) => [...fieldsOf(one)].flatMap(([field, bytes]) => (field === wanted ? [bytes] : []))),
    [message],
  );
const text = (message: Buffer, ...path: readonly number[]) => within(message, ...path).map(String);

interface Span {
  readonly name: string;
  readonly id: string;
  readonly parent: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const spanOf = (span: Buffer): Span => ({
  name: text(span, 5)[0] ?? '',
  id: within(span, 2)[0]?.toString('hex') ?? '',
  parent: within(span, 4)[0]?.toString('hex') ?? '',
  attributes: Object.fromEntries(within(span, 9).map((pair) => [text(pair, 1)[0] ?? '', text(pair, 2, 1)[0] ?? ''])),
});

let mirror: Mirror;
let receiver: Server;
let bodies: Buffer[] = [];
let status = 200;
let address: Readonly<Record<string, string>>;
let settings: Readonly<Record<string, string>>;
const spans = () => bodies.flatMap((body) => within(body, 1, 2, 2)).map(spanOf);
const named = (name: string) => spans().filter((span) => span.name === name);

beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: { 'crm.account': 120 } });
  receiver = createServer(async (request, response) => {
    if (request.url === '/v1/traces') bodies.push(await buffer(request));
    response.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  address = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}` };
  settings = {
    DATABASE_URL: mirror.database.url,
    FLOWLU_BASE_URL: mirror.portal.baseUrl,
    FLOWLU_API_KEY: mirror.portal.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: '0',
    FLOWLU_MODELS: 'crm.account',
  };
});
afterAll(async () => {
  receiver.close();
  await mirror.close();
});
beforeEach(() => {
  bodies = [];
  status = 200;
});

const backfill = (env: Readonly<Record<string, string>>) =>
  runHere(['backfill', 'crm.account'], { cwd: tmpdir(), env: { ...settings, ...env } });

it('a run has its requests to the portal below it, and names the service as the variables do', async () => {
  expect((await backfill({ ...address, OTEL_SERVICE_NAME: 'mirror-of-acme' })).code).toBe(0);
  const [run] = named('run backfill');
  const requests = named('flowlu list').filter(({ parent }) => parent === run?.id);
  expect(requests.length).toBeGreaterThan(1);
  expect(new Set(requests.map(({ attributes }) => attributes['flowlu.model']))).toEqual(new Set(['crm.account']));
  const resource = bodies.flatMap((body) => within(body, 1, 1, 1)).map((pair) => text(pair, 2, 1)[0]);
  expect(resource).toContain('mirror-of-acme');
});

it('a refused request says of what kind the error is', async () => {
  expect((await backfill({ ...address, FLOWLU_API_KEY: 'a-key-that-is-not-accepted' })).code).toBe(1);
  expect(named('flowlu list').map(({ attributes }) => attributes['error.type'])).toContain('unauthorized');
});

it('webhooks that share a commit are one span, which holds nothing of their records', async () => {
  const { env } = process;
  process.env = { ...env, ...address };
  const end = await startTracing(telemetryEnvironment(), mirror.log);
  const service = await startService(mirror.database.url);
  try {
    const body = mirror.portal.webhooks.body(mirror.portal.portal.create('crm.account'));
    expect((await service.post(body)).status).toBe(200);
    await end();
    expect(named('webhooks')).toHaveLength(1);
    const { name } = JSON.parse(body).current;
    expect(name).toEqual(expect.any(String));
    expect(Buffer.concat(bodies).includes(name)).toBe(false);
  } finally {
    await service.close();
    process.env = env;
  }
});

it.each([
  ['no variable asks for it', () => ({})],
  ['the SDK is disabled', () => ({ ...address, OTEL_SDK_DISABLED: 'true' })],
  ['traces go nowhere', () => ({ ...address, OTEL_TRACES_EXPORTER: 'none' })],
])('nothing is sent where %s', async (_, env) => {
  expect(await backfill(env())).toMatchObject({ code: 0 });
  expect(bodies).toEqual([]);
});

it('a receiver that refuses, or a protocol that is not spoken, is said once and keeps nobody from working', async () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) };
  const log = createLogger({ level: 'warn', version: 'test', secrets: [], stream });
  status = 400;
  const refused = await backfill(address);
  expect(refused.code).toBe(0);
  expect(refused.stderr.match(/traces could not be sent/g)).toHaveLength(1);
  await (await startTracing({ ...address, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, log))();
  expect(lines.join('')).toMatch(/grpc is not spoken; set OTEL_EXPORTER_OTLP_PROTOCOL=http\/protobuf/);
});
