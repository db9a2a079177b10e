import { setTimeout as sleep } from 'node:timers/promises';
import { it } from 'vitest';
import { connect, transaction } from '../../src/db/connection.ts';
import { createTestDatabase } from '../support/database.ts';
it('hang', async () => {
  const db = await createTestDatabase();
  const sql = connect(db.url, { applicationName: 'flowlu-mirror x', max: 4 });
  let n = 0, ok = 0; const err: Record<string, number> = {};
  let stop = false;
  const worker = async () => {
    while (!stop) {
      n++;
      const stage: string[] = [];
      const st = (s: string) => stage.push(s);
      const work = transaction(sql, {}, async (tx) => {
        st('q1'); await tx`select 1`.catch((e) => { st(`q1 ${e.code}`); throw e; }); st('q2');
        await Promise.all([tx`select pg_sleep(0.002)`.catch((e) => { st(`q2 ${e.code}`); throw e; }), tx.unsafe('select $1::text', ['a'], { prepare: true }).catch((e) => { st(`q2b ${e.code}`); throw e; })]); st('q3'); await tx.unsafe('select $1::text', ['a'], { prepare: true }).catch((e) => { st(`q3 ${e.code}`); throw e; }); st('commit');
      });
      const r = await Promise.race([work.then(() => 'ok', (e) => e.code ?? e.message), sleep(5000).then(() => `HUNG in ${stage.join()}`)]);
      if (r === 'ok') ok++; else err[r] = (err[r] ?? 0) + 1;
      if (Math.random() < 0.5) await new Promise(setImmediate); if (Math.random()<0.3) await sql`select 1`.catch(() => {});
    }
  };
  const ws = Array.from({ length: 3 }, worker);
  for (let i = 0; i < 60; i++) { await sleep(30 + Math.random() * 60); await db.sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${db.name} and application_name = 'flowlu-mirror x'` }
  await sleep(5500);
  stop = true; await Promise.all(ws);
  console.log(JSON.stringify({ n, ok, err }));
  await sql.end({ timeout: 1 }); await db.close();
}, 60000);
