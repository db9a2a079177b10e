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

it('are refused with 503 beyond a bound, small ones still fit, and all is well when the others have gone', async () => {
  const head = `POST /webhooks/flowlu/${SECRET} HTTP/1.1\r\nHost: x\r\n`;
  const held = await Promise.all(
    Array.from({ length: 64 }, async (_, n) => {
      const socket = await open(service.url);
      socket.on('error', () => {}).resume();
      // One does not say how much comes: it counts as the most there may be. All leave a little room.
      socket.write(
        n === 0
          ? `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"met`
          : `${head}Content-Length: ${MEBIBYTE - 100}\r\n\r\n{"met`,
      );
      return socket;
    }),
  );
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
