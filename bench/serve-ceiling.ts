/** Our HTTP stack without a database: what a request costs before anything is done for it. */
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { answerJobs } from './worker.ts';

answerJobs(async (): Promise<number> => {
  const app = new Hono();
  app.post('/webhooks/flowlu', async (context) => {
    const event = JSON.parse(await context.req.text()) as { readonly current: { readonly id: number } };
    return context.json({ accepted: true, delivery: String(event.current.id) });
  });
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
});
