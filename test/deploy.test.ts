/** What stands in deploy/: every metric in alerts and dashboard exists, and the files can be read. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { expect, inject, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { createMetrics } from '../src/core/metrics.ts';
import { databaseFacts } from '../src/migrate/health.ts';
import { migrate } from '../src/migrate/migrate.ts';
import { connect } from '../src/postgres/connection.ts';

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
    // A comma in a summary without quotation marks would make further annotations, and Prometheus refuse the file.
    expect(rule).toMatchObject({ labels: { severity: expect.any(String) } });
    expect(rule.annotations).toEqual({ summary: expect.any(String) });
  }
  const tested = read('prometheus/alerts.test.yml');
  for (const { alert } of rules) expect(tested).toMatch(new RegExp(`alertname: ${alert}\\n +exp_alerts`));
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

it('Compose runs the service as the writer, migrates as the owner, and its profiles name files that exist', () => {
  const { services, volumes } = parse(read('../docker-compose.yml'));
  const { environment } = services['flowlu-mirror'];
  expect(environment.DATABASE_URL).toContain('//flowlu_service:');
  expect(environment.MIGRATE_DATABASE_URL).toContain('//flowlu_owner:');
  const profiles = Object.values<{ profiles?: string[] }>(services).flatMap(({ profiles: own = [] }) => own);
  expect(new Set(profiles)).toEqual(new Set(['bi', 'https', 'monitoring']));
  for (const { volumes: mounts = [] } of Object.values<{ volumes?: string[] }>(services)) {
    for (const mount of mounts) {
      const [source = ''] = mount.split(':');
      if (source.startsWith('.')) expect(existsSync(new URL(`../${source}`, import.meta.url)), mount).toBe(true);
      else expect(volumes).toHaveProperty(source);
    }
  }
});

it('the roles of Compose are enough: the owner migrates, and the service may write', async () => {
  const sql = read('postgres/roles.sh').match(/<<'SQL'\n([\s\S]*)\nSQL/)?.[1] ?? '';
  const id = randomUUID().slice(0, 8);
  // Roles belong to the server of all tests, so these have names of their own; flowlu_writer is there already.
  const statements = sql
    .replace(/create role flowlu_writer nologin;\n/, '')
    .replaceAll(/flowlu_(owner|service)/g, `$1_${id}`)
    .replace(/\bdatabase flowlu\b/g, `database compose_${id}`)
    .replaceAll(/:'\w+'/g, "'word'");
  const admin = connect(inject('serverUrl'), { applicationName: 'flowlu-mirror tests', max: 1 });
  try {
    for (const statement of statements.split(';').filter((text) => text.trim() !== '')) {
      // Creating a role or a database works outside of a transaction only.
      await admin.unsafe(statement);
    }
    const address = (role: string) => {
      const url = new URL(inject('serverUrl'));
      return Object.assign(url, { username: `${role}_${id}`, password: 'word', pathname: `/compose_${id}` }).href;
    };
    expect((await migrate(address('owner'))).adminSql).toBeNull();
    const service = connect(address('service'), { applicationName: 'flowlu-mirror tests', max: 1 });
    expect(await databaseFacts(service)).toMatchObject({ may_write: true, owns_schema: false });
    await service.end();
  } finally {
    await admin.unsafe(`drop database if exists compose_${id} with (force)`);
    await admin.unsafe(`drop role if exists service_${id}`);
    await admin.end();
  }
});
