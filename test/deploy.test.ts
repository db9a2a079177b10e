/** What stands in deploy/: every metric in alerts and dashboard exists, and the files can be read. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { createMetrics } from '../src/core/metrics.ts';

const read = (path: string) => readFileSync(new URL(`../deploy/${path}`, import.meta.url), 'utf8');

it.each(['prometheus/alerts.yml', 'grafana/flowlu-mirror.json'])('%s names only metrics that exist', async (path) => {
  const known = new Set((await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name));
  const named = new Set(read(path).match(/flowlu_mirror_[a-z_]+/g));
  expect(named.size).toBeGreaterThan(4);
  expect([...named].filter((name) => !known.has(name.replace(/_(bucket|sum|count)$/, '')))).toEqual([]);
});

it('every alert has a name of its own, a severity and a summary', () => {
  const { groups } = parse(read('prometheus/alerts.yml'));
  const rules = groups.flatMap((group: { rules: object[] }) => group.rules);
  expect(new Set(rules.map(({ alert }: { alert: string }) => alert)).size).toBe(rules.length);
  for (const rule of rules) {
    expect(rule).toMatchObject({
      labels: { severity: expect.any(String) },
      annotations: { summary: expect.any(String) },
    });
  }
});

it('the manifests for Kubernetes speak of one application and are read-only, without root', () => {
  const documents = parseAllDocuments(read('kubernetes/flowlu-mirror.yml')).map((document) => document.toJS());
  expect(documents.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['Deployment', 'Service', 'Ingress', 'PodDisruptionBudget']),
  );
  const { spec } = documents.find(({ kind }) => kind === 'Deployment').spec.template;
  expect(spec.securityContext.runAsNonRoot).toBe(true);
  expect(spec.containers[0].securityContext.readOnlyRootFilesystem).toBe(true);
});
