/** Debian's Prometheus and Caddy read what stands in deploy/, and each alert fires when it should. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { output } from './programs.ts';

const path = (name: string) => fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));

it('takes the rules and the configuration', async () => {
  expect(await output('promtool', ['check', 'rules', path('prometheus/alerts.yml')])).toMatch(/SUCCESS: \d+ rules/);
  expect(await output('promtool', ['check', 'config', path('prometheus/prometheus.yml')])).toContain('is valid');
});

it('fires each alert when it should, and none while all is well', async () => {
  expect(await output('promtool', ['test', 'rules', path('prometheus/alerts.test.yml')])).toContain('SUCCESS');
});

it('Caddy takes its file', async () => {
  const words = ['validate', '--adapter', 'caddyfile', '--config', path('caddy/Caddyfile')];
  expect(
    await output('caddy', words, { env: { SITE: 'mirror.example.com', REPLICAS: 'flowlu-mirror:8787' } }),
  ).toContain('Valid configuration');
});

it('systemd takes the unit', async () => {
  await output('systemd-analyze', ['verify', path('systemd/flowlu-mirror.service')]);
});
