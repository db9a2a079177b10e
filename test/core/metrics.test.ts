import { expect, test } from 'vitest';
import { createMetrics } from '../../src/core/metrics.ts';

test('every metric has a help text, and counters and times say so in their names', async () => {
  const metrics = await createMetrics().registry.getMetricsAsJSON();
  const ours = metrics.filter(({ name }) => name.startsWith('flowlu_mirror_'));
  expect(ours.length).toBeGreaterThan(10);
  for (const { name, help, type } of ours) {
    expect(help).not.toBe('');
    expect(name.endsWith('_total')).toBe(String(type) === 'counter');
    if (/duration|lag|timestamp/.test(name)) expect(name).toMatch(/_seconds$/);
  }
});

test('two sets of metrics in one process do not mix', async () => {
  const [first, second] = [createMetrics(), createMetrics()];
  first.deliveriesReceived.inc({ status: '200' });
  expect(await first.registry.metrics()).toContain('flowlu_mirror_deliveries_received_total{status="200"} 1');
  expect(await second.registry.metrics()).not.toContain('status="200"');
});
