/** Bodies that are on their way in: no more of them than there is room for. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { open } from '../abuse/wire.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { SECRET, type Service, startService, webhook } from './service.ts';

const MEBIBYTE = 2 ** 20;

let db: TestDatabase;
let service: Service;

beforeAll(async () => {
  db = await createTestDatabase();
  service = await startService(db.url);
});
afterAll(async () => {
  await service?.close();
  await db?.close();
});

const large = webhook('crm.account', 'create', { id: 1, name: 'x'.repeat(MEBIBYTE - 200) });
const small = webhook('crm.account', 'create', { id: 2, name: 'Ada' });

const head = `POST /webhooks/flowlu/${SECRET} HTTP/1.1\r\nHost: x\r\n`;

async function send(count: number, text: string) {
  return await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const socket = await open(service.url);
      socket.on('error', () => {}).resume();
      // One does not say how much comes.
      const length = n === 0 ? 'Transfer-Encoding: chunked\r\n\r\n' : `Content-Length: ${MEBIBYTE - 100}\r\n\r\n`;
      socket.write(`${head}${length}${n === 0 ? `${text.length.toString(16)}\r\n` : ''}${text}`);
      return socket;
    }),
  );
}

it('are refused with 503 beyond a bound, small ones still fit, and all is well when the others have gone', async () => {
  const held = await send(40, `{"meta":"${'x'.repeat(0.9 * MEBIBYTE)}`);
  const refused = await eventually(
    () => service.post(large),
    ({ status }) => status === 503,
  );
  expect(refused.headers.get('retry-after')).toBe('5');
  expect((await service.post(small)).status).toBe(200);
  for (const socket of held) socket.destroy();
  await eventually(
    () => service.post(large),
    ({ status }) => status === 200,
  );
});

it('take no room by what they announce', async () => {
  const held = await send(100, '{"met');
  expect((await service.post(large)).status).toBe(200);
  for (const socket of held) socket.destroy();
});
