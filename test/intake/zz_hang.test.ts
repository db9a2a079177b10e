import { setTimeout as sleep } from 'node:timers/promises';
import { it } from 'vitest';
import { connect, transaction } from '../../src/db/connection.ts';
import { createTestDatabase } from '../support/database.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
it('hang', async () => {
  const db = await createTestDatabase();
  const proxy = await startTcpProxy(db.url);
  const sql = connect(proxy.url(db.url), { applicationName: 'x', max: 4 });
  let n = 0, hung = 0, ok = 0, err: Record<string, number> = {};
  let stop = false;
  const worker = async () => {
    while (!stop) {
      n++;
      const stage = { s: 'begin' };
      const work = transaction(sql, {}, async (tx) => {
        stage.s = 'q1'; await tx`select 1`; stage.s = 'q2'; await tx`select pg_sleep(0.002)`; stage.s='q3'; await tx.unsafe('select $1::text', ['a'], { prepare: true }); stage.s='commit';
      });
      const r = await Promise.race([work.then(() => 'ok', (e) => e.code ?? e.message), sleep(4000).then(() => `HUNG in ${stage.s}`)]);
      if (r === 'ok') ok++; else err[r] = (err[r] ?? 0) + 1;
      if (String(r).startsWith('HUNG')) hung++;
      if (r !== 'ok') await sleep(5);
    }
  };
  const ws = Array.from({ length: 3 }, worker);
  for (let i = 0; i < 40; i++) { await sleep(50 + Math.random() * 60); proxy.cut(); if (i % 2) await sleep(30); proxy.heal(); }
  await sleep(5000);
  stop = true; await Promise.all(ws);
  console.log({ n, ok, hung, err });
  await sql.end({ timeout: 1 }); await proxy.close(); await db.close();
}, 60000);
