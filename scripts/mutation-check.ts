/**
 * Do the tests notice when the rule is broken? Breaks it on purpose, one way at a time, in a temporary copy of the
 * checkout, and runs the tests that should fail for it. Run with `npx tsx scripts/mutation-check.ts [word…]`; words
 * choose mutants by name. Ends with 1 when one survives.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly from: string;
  readonly to: string;
  /** The tests that watch this part; the first that fails has killed it. */
  readonly tests: readonly string[];
}

const RULE = ['test/apply/decide.test.ts', 'test/apply/tie.test.ts', 'test/apply/order.property.test.ts'];
const DATABASE = ['test/apply/door.test.ts', 'test/apply/settle.test.ts'];
const SCENES = [
  'test/convergence/deliveries.test.ts',
  'test/convergence/sweep.test.ts',
  'test/convergence/daylight-saving.test.ts',
];
const PRIVACY = 'test/privacy/whole-database.test.ts';
const ERASE = 'test/apply/erase.test.ts';
const CONVERGENCE = 'test/convergence/convergence.property.test.ts';

/** Copied into the temporary checkout. */
const COPIED = [
  ...['src', 'test', 'drizzle', 'docs', 'bin', 'package.json', 'tsconfig.json', 'tsconfig.build.json'],
  ...['vitest.config.ts', 'Dockerfile', 'docker-compose.yml'],
];
/** Histories are enough for a mutant that deserves to be found, and shrinking would only cost time. */
const ENVIRONMENT = {
  FLOWLU_MIRROR_TEST_RUNS: '1200',
  FLOWLU_MIRROR_TEST_SEED: '20260610',
  FLOWLU_MIRROR_TEST_SHRINK: 'no',
};
const RUN_MAX_MS = 600_000;
const ROOT = new URL('..', import.meta.url).pathname;

const MUTANTS: readonly Mutant[] = [
  {
    name: 'a refresh does not lock the grant',
    file: 'src/db/oauth.ts',
    from: 'from sync.oauth_grant for update`;\n  return (row ?? null)',
    to: 'from sync.oauth_grant`;\n  return (row ?? null)',
    tests: ['test/oauth/refresh.test.ts'],
  },
  {
    name: 'tokens are dropped when the connection breaks while the portal is asked',
    file: 'src/oauth/refresh.ts',
    from: 'if (course.asking === null) throw error;',
    to: 'throw error;',
    tests: ['test/oauth/refresh.test.ts'],
  },
  {
    name: 'a login is good more than once',
    file: 'src/db/oauth-requests.ts',
    from: ' and answered_at is null',
    to: '',
    tests: ['test/oauth/login.test.ts'],
  },
  {
    name: 'a withdrawn grant is asked with again',
    file: 'src/oauth/refresh.ts',
    from: 'return refuseGrant(q, generation, asked.problem);',
    to: 'return;',
    tests: ['test/oauth/refresh.test.ts'],
  },
  {
    name: 'a version as old as the tombstone resurrects (< for <=)',
    file: 'src/apply/decide.ts',
    from: "if (order <= 0) return keep('stale');",
    to: "if (order < 0) return keep('stale');",
    tests: [...RULE, CONVERGENCE],
  },
  {
    name: 'webhooks ignore tombstones',
    file: 'src/apply/decide.ts',
    from: '  if (row.deletedAt !== null) {\n    if (order === null)',
    to: '  if (row.deletedAt === Number.NaN) {\n    if (order === null)',
    tests: [...RULE, CONVERGENCE],
  },
  {
    name: 'older versions are applied',
    file: 'src/apply/decide.ts',
    from: "if (order !== null && order < 0) return keep('stale');",
    to: '',
    tests: [...RULE, CONVERGENCE],
  },
  {
    name: 'a deletion buries a row that is newer',
    file: 'src/apply/decide.ts',
    from: "if (order !== null && order > 0) return keep('kept', 'announced as deleted, but the row is newer');",
    to: '',
    tests: RULE,
  },
  {
    name: 'no fence: every reading counts as begun after the row was learnt',
    file: 'src/apply/decide.ts',
    from: 'const readAfter = seen.observedAt > row.observedAt;',
    to: 'const readAfter = seen.observedAt > 0;',
    tests: [...RULE, ...DATABASE, CONVERGENCE],
  },
  {
    name: 'an absence that was read too early buries',
    file: 'src/apply/decide.ts',
    from: "if (seen.observedAt <= row.observedAt) return keep('ignored');",
    to: '',
    tests: [...RULE, ...DATABASE],
  },
  {
    name: 'the settle grace is ignored',
    file: 'src/apply/decide.ts',
    from: 'if (seen.settling && seen.observedAt >= row.observedAt + around.settleGrace)',
    to: 'if (seen.settling)',
    tests: [...RULE, ...DATABASE, CONVERGENCE],
  },
  {
    name: 'a webhook replaces the record: keys that it leaves out are lost',
    file: 'src/apply/verdict.ts',
    from: 'record: row === null ? seen.record : mergeRecords(shape, row.record, seen.record),',
    to: 'record: seen.record,',
    tests: [...RULE, ...DATABASE, CONVERGENCE],
  },
  {
    name: 'ties are applied without a look at the state before',
    file: 'src/apply/tie.ts',
    from: 'if (seen.previous !== null && contains(shape, row.record, seen.previous)) {',
    to: 'if (seen.observedAt > 0) {',
    tests: [...RULE, CONVERGENCE],
  },
  {
    name: 'deliveries that lead in a circle are taken for a path',
    file: 'src/apply/tie.ts',
    from: 'return onPaths.length < links.length;',
    to: 'return false;',
    tests: [...RULE, CONVERGENCE],
  },
  {
    name: 'a slot that has passed is used',
    file: 'src/flowlu/pace.ts',
    from: 'if (isFree && lateMs <= TOLERANCE_MS + stretchMs) {',
    to: 'if (isFree) {',
    tests: ['test/flowlu/pace.test.ts'],
  },
  {
    name: 'a process does not keep the rate by itself',
    file: 'src/flowlu/pace.ts',
    from: 'const isFree = sentAtMs.length < slots || nowMs - (sentAtMs[0] as number) >= windowMs;',
    to: 'const isFree = true;',
    tests: ['test/flowlu/pace.test.ts'],
  },
  {
    name: 'values are taken apart where they hold the separator',
    file: 'src/db/arrays.ts',
    from: 'item === nothing || item.includes(value) || item.includes(row)',
    to: 'item === nothing || item.includes(row)',
    tests: ['test/db/arrays.test.ts'],
  },
  {
    name: 'plans are made for empty tables',
    file: 'src/apply/transact.ts',
    from: '{ byKey: true }',
    to: '{}',
    tests: ['test/db/plans.test.ts'],
  },
  {
    name: 'states that come back within a version raise no doubt',
    file: 'src/apply/tie.ts',
    from: 'mayReturnToAState(moves) ?',
    to: 'mayReturnToAState([]) ?',
    tests: [...RULE, CONVERGENCE],
  },
  {
    name: 'ties know nothing of earlier deliveries',
    file: 'src/apply/door.ts',
    from: 'kin.get(entity.id) ?? []',
    to: '[]',
    tests: [...SCENES, CONVERGENCE],
  },
  {
    name: 'a version far in the future is believed',
    file: 'src/catalog/version.ts',
    from: 'return version !== null && version.at > observedAt + MAX_LEAD ? null : version;',
    to: 'return version !== null && version.at > observedAt + MAX_LEAD * 1e6 ? null : version;',
    tests: [...RULE, ...DATABASE],
  },
  {
    name: 'versions of the repeated hour are ordered',
    file: 'src/catalog/version.ts',
    from: 'a.order - b.order',
    to: 'a.at - b.at',
    tests: [...RULE, ...SCENES, CONVERGENCE],
  },
  {
    name: 'the hash leaves a field out',
    file: 'src/catalog/record.ts',
    from: 'sorted: names.map(',
    to: "sorted: names.filter((name) => name !== 'name').map(",
    tests: [...RULE, ...DATABASE, CONVERGENCE],
  },
  {
    name: 'rows are not locked',
    file: 'src/db/mirror-rows.ts',
    from: '       order by t.id\n         for update of t`',
    to: '       order by t.id`',
    tests: [...DATABASE, CONVERGENCE],
  },
  {
    name: 'a record read before its lock is taken for what is locked',
    file: 'src/db/mirror-rows.ts',
    from: 'case when t._hash is distinct from k.hash then t._record::text end',
    to: 'case when k.hash is null then t._record::text end',
    tests: [...DATABASE, CONVERGENCE],
  },
  {
    name: 'a lost race over a new row is not noticed',
    file: 'src/db/mirror-rows.ts',
    from: '`,\n    update: `',
    to: ' on conflict do nothing`,\n    update: `',
    tests: [...DATABASE, CONVERGENCE],
  },
  {
    name: 'a reading clears doubts that were raised after it began',
    file: 'src/db/doubtful.ts',
    from: ' and d.since < n.observed_at',
    to: '',
    tests: [...DATABASE, CONVERGENCE],
  },
  {
    name: 'any refusal of a single read counts as absence',
    file: 'src/apply/settle.ts',
    from: 'if (error instanceof NotFoundError) return',
    to: "if (error instanceof FlowluError) return { says: 'absent', observedAt: Date.parse('2100-01-01') * 1_000 };\n    if (error instanceof NotFoundError) return",
    tests: [...DATABASE, ...SCENES, CONVERGENCE],
  },
  {
    name: 'what a list lacks is believed to be gone',
    file: 'src/db/suspects.ts',
    from: 'with taken as (delete from sync.suspects',
    to: `with gone as (update flowlu.crm_account set _deleted_at = clock_timestamp()
                   where id in (select entity_id from sync.suspects)),
         taken as (delete from sync.suspects`,
    tests: [...SCENES, CONVERGENCE],
  },
  {
    name: 'the shrink guard lets everything pass',
    file: 'src/reconcile/sweep.ts',
    from: 'vanished > live * SHRINK_GUARD.share',
    to: 'vanished > live',
    tests: SCENES,
  },
  {
    name: 'rows that were learnt of meanwhile are suspected',
    file: 'src/db/suspects.ts',
    from: 'and t._deleted_at is null and t._observed_at < $2::timestamptz',
    to: 'and t._deleted_at is null and $2::timestamptz is not null',
    tests: SCENES,
  },
  {
    name: 'suspects are doubted without their rows being locked',
    file: 'src/db/suspects.ts',
    from: '      order by t.id\n        for update`',
    to: '      order by t.id`',
    tests: SCENES,
  },
  {
    name: 'rows that agree are locked all the same',
    file: 'src/reconcile/page.ts',
    from: 'if (held !== null && contains(shape, held.record, record) &&',
    to: 'if (held !== null && held.hash === record &&',
    tests: [...SCENES, CONVERGENCE],
  },
  {
    name: 'incremental catch-up trusts versions of the repeated hour',
    file: 'src/reconcile/incremental.ts',
    from: 'deps.door.zone.orderOf(watermark.version) - OVERLAP',
    to: 'watermark.version - OVERLAP',
    tests: SCENES,
  },
  {
    name: 'custom fields: a name in use is given to another field',
    file: 'src/db/custom-columns.ts',
    from: 'for (const row of usable) if (alive.has(row.fieldId) && !isExpired(row)) claim(row.name);',
    to: '',
    tests: ['test/db/custom-columns.test.ts'],
  },
  {
    name: 'custom fields: moments take the offset of the hour before, not of the day before',
    file: 'src/db/custom-values.ts',
    from: "- interval '1 day') at time zone",
    to: "- interval '1 hour') at time zone",
    tests: ['test/db/custom-values.test.ts'],
  },
  {
    name: 'views: a column that stays for dependants loses its values',
    file: 'src/db/live-columns.ts',
    from: 'keep: (name, type) => keepCustom(custom, name, type, zone),',
    to: 'keep: keepEmpty,',
    tests: ['test/db/live-custom-fields.test.ts'],
  },
  {
    name: 'privacy: webhook bodies are stored as they came',
    file: 'src/intake/listener.ts',
    from: 'options.privacy ? protectDelivery(reading, options.privacy) : reading;',
    to: 'reading;',
    tests: [PRIVACY],
  },
  {
    name: 'privacy: bodies that nobody understands are stored',
    file: 'src/intake/protect.ts',
    from: 'if (announcement === null) return { ...accepted, body: withheldBody(accepted.body.length) };',
    to: 'if (announcement === null) return accepted;',
    tests: [PRIVACY],
  },
  {
    name: 'privacy: what stood before the change is not protected',
    file: 'src/intake/protect.ts',
    from: 'previous: without(announcement.previous)',
    to: 'previous: announcement.previous',
    tests: [PRIVACY],
  },
  {
    name: 'privacy: pages of the API are stored as they came',
    file: 'src/flowlu/client.ts',
    from: 'protect ? value.items.map((item) => protect(model.name, item)) : value.items;',
    to: 'value.items;',
    tests: [PRIVACY],
  },
  {
    name: 'privacy: single reads are stored as they came',
    file: 'src/flowlu/client.ts',
    from: 'record: protect ? protect(model.name, value) : value,',
    to: 'record: value,',
    tests: [PRIVACY],
  },
  {
    name: 'privacy: an alias that nobody knows is let through',
    file: 'src/privacy/redact.ts',
    from: 'return isExplained ? null : unknownAlias;',
    to: 'return null;',
    tests: [PRIVACY],
  },
  {
    name: 'privacy: a model that nobody knows is let through',
    file: 'src/privacy/policy.ts',
    from: 'findModel(model) === undefined ? everything : undefined',
    to: 'undefined',
    tests: [PRIVACY],
  },
  {
    name: 'erase: webhooks bring it back',
    file: 'src/apply/decide.ts',
    from: "if (row?.source === 'erased' && isHearsay(seen)) return keep('erased');",
    to: '',
    tests: [ERASE],
  },
  {
    name: 'erase: the body of a late webhook is stored',
    file: 'src/apply/receive.ts',
    from: "outcome.decision === 'erased' ? bareBody(announcement) : body;",
    to: 'body;',
    tests: [ERASE],
  },
  {
    name: 'erase: the body of a late pending delivery stays',
    file: 'src/apply/drain.ts',
    from: '  await withholdErased(tx, arrivals, outcomes);\n',
    to: '',
    tests: [ERASE],
  },
  {
    name: 'erase: deliveries that were never taken apart are passed over',
    file: 'src/db/erasure.ts',
    from: ' or d.entity_id is null',
    to: '',
    tests: [ERASE],
  },
  {
    name: 'erase: the other tables of the ledger are forgotten',
    file: 'src/db/erasure.ts',
    from: '  for (const { name } of tables) {',
    to: '  for (const { name } of tables.slice(0, 1)) {',
    tests: [ERASE],
  },
  {
    name: 'erase: the ledger is cleared before the row is locked',
    file: 'src/apply/erase.ts',
    from: '    const had_row = await eraseRow(tx, shelf, id, context);\n    const deliveries = await eraseDeliveries(tx, entity);\n',
    to: '    const deliveries = await eraseDeliveries(tx, entity);\n    const had_row = await eraseRow(tx, shelf, id, context);\n',
    tests: [ERASE],
  },
  {
    name: 'roles: the writer may truncate',
    file: 'src/db/roles.ts',
    from: "{ role: WRITER, schema: 'flowlu', privileges: ['select', 'insert', 'update'] },",
    to: "{ role: WRITER, schema: 'flowlu', privileges: ['select', 'insert', 'update', 'truncate'] },",
    tests: ['test/db/roles.test.ts'],
  },
  {
    name: 'exposure: X-Forwarded-For is believed from anybody',
    file: 'src/intake/sources.ts',
    from: 'forwardedFor === undefined || !isTrusted(source)',
    to: 'forwardedFor === undefined',
    tests: ['test/intake/sources.test.ts', 'test/intake/gate.test.ts'],
  },
  {
    name: 'exposure: X-Forwarded-For is read from the left',
    file: 'src/intake/sources.ts',
    from: 'let end = forwardedFor.length;',
    to: "let end = forwardedFor.includes(',') ? forwardedFor.indexOf(',') : forwardedFor.length;",
    tests: ['test/intake/sources.test.ts'],
  },
  {
    name: 'exposure: the allow-list is not asked',
    file: 'src/intake/gate.ts',
    from: 'if (source === null || !isAllowed(source))',
    to: 'if (source === null)',
    tests: ['test/intake/gate.test.ts'],
  },
  {
    name: 'exposure: wrong secrets are never too many',
    file: 'src/intake/attempts.ts',
    from: 'isTooMany: count.wrong > limits.allowed',
    to: 'isTooMany: false',
    tests: ['test/intake/sources.test.ts', 'test/intake/gate.test.ts'],
  },
  {
    name: 'exposure: counted sources are never forgotten',
    file: 'src/intake/attempts.ts',
    from: 'if (counts.size > limits.maxSources)',
    to: 'if (counts.size < 0)',
    tests: ['test/intake/sources.test.ts'],
  },
  {
    name: 'exposure: any secret is right',
    file: 'src/intake/secret.ts',
    from: 'return position < 0 ? null : position;',
    to: 'return Math.max(0, position);',
    tests: ['test/intake/route.test.ts'],
  },
  {
    name: 'exposure: verify mode believes bodies',
    file: 'src/apply/deliveries.ts',
    from: "return context.trust === 'verify' || arrival?.isHint === true;",
    to: 'return arrival?.isHint === true;',
    tests: ['test/e2e/verify-mode.test.ts'],
  },
  {
    name: 'exposure: a replay believes what was a hint',
    file: 'src/apply/deliveries.ts',
    from: "return context.trust === 'verify' || arrival?.isHint === true;",
    to: "return context.trust === 'verify';",
    tests: ['test/e2e/verify-mode.test.ts'],
  },
  {
    name: 'exposure: a hint hides the reason of a doubt',
    file: 'src/db/doubtful.ts',
    from: 'then d.reason else excluded.reason end',
    to: 'then excluded.reason else excluded.reason end',
    tests: ['test/e2e/verify-mode.test.ts'],
  },
  {
    name: 'exposure: hints that are refused stay',
    file: 'src/apply/settle.ts',
    from: '!error.retryable && doubt.reason === HINT',
    to: 'error.retryable && doubt.reason === HINT',
    tests: ['test/e2e/verify-mode.test.ts'],
  },
  {
    name: 'exposure: hints wait without a bound',
    file: 'src/apply/deliveries.ts',
    from: '>= MAX_OPEN_HINTS;',
    to: '> 2 * MAX_OPEN_HINTS;',
    tests: ['test/e2e/verify-mode.test.ts'],
  },
  {
    name: 'exposure: nobody gives way',
    file: 'src/cli/serve/crowd.ts',
    from: 'if (open.size + negotiating.size <= maxOpen) return;',
    to: 'if (maxOpen > 0) return;',
    tests: ['test/abuse/wire.test.ts', 'test/cli/https.test.ts'],
  },
  {
    name: 'exposure: a certificate is used without its key',
    file: 'src/cli/serve/tls.ts',
    from: 'if (!certificate.checkPrivateKey(privateKey)) {',
    to: 'if (certificate === null) {',
    tests: ['test/cli/https.test.ts'],
  },
  {
    name: 'exposure: plain HTTP everywhere',
    file: 'src/cli/serve/exposure.ts',
    from: "|| reach !== 'public') return reach;",
    to: "|| reach !== '') return reach;",
    tests: ['test/cli/https.test.ts'],
  },
  {
    name: 'exposure: bodies come in without a bound',
    file: 'src/intake/listener.ts',
    from: 'if (receiving > 0 && receiving + bytes > MAX_RECEIVING_BYTES) return BUSY;',
    to: '',
    tests: ['test/intake/receiving.test.ts'],
  },
  {
    name: 'exposure: the room of a body is never given back',
    file: 'src/intake/listener.ts',
    from: 'receiving -= bytes;',
    to: '',
    tests: ['test/intake/receiving.test.ts'],
  },
];

interface Finding {
  readonly mutant: string;
  /** `file: test`, or null when it survived. */
  readonly killedBy: string | null;
}

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const chosen = MUTANTS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  const copy = await mkdtemp(join(tmpdir(), 'flowlu-mirror-mutants-'));
  try {
    for (const path of COPIED) await cp(join(ROOT, path), join(copy, path), { recursive: true });
    await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const unharmed = await firstFailure(copy, [...new Set(chosen.flatMap(({ tests }) => tests))]);
    if (unharmed !== null) {
      console.error(`the tests fail without any mutant: ${unharmed.test}\n${unharmed.message}`);
      return 2;
    }
    const findings: Finding[] = [];
    for (const mutant of chosen) {
      stop.signal.throwIfAborted();
      const finding = { mutant: mutant.name, killedBy: await tryMutant(copy, mutant) };
      findings.push(finding);
      console.log(`${finding.killedBy === null ? 'SURVIVED' : 'killed  '}  ${finding.mutant}`);
    }
    print(findings);
    return findings.some(({ killedBy }) => killedBy === null) ? 1 : 0;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function tryMutant(copy: string, { file, from, to, tests }: Mutant): Promise<string | null> {
  const path = join(copy, file);
  const text = await readFile(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${file} no longer has this exactly once: ${from}`);
  await writeFile(
    path,
    text.replace(from, () => to),
  );
  try {
    // File by file, the quick ones first: most mutants do not live long.
    for (const test of tests) {
      const failure = await firstFailure(copy, [test]);
      if (failure !== null) return failure.test;
    }
    return null;
  } finally {
    await writeFile(path, text);
  }
}

interface Failure {
  /** `file: test` */
  readonly test: string;
  readonly message: string;
}

/** The first test that fails; null when all pass. */
async function firstFailure(copy: string, tests: readonly string[]): Promise<Failure | null> {
  const report = join(copy, 'report.json');
  await rm(report, { force: true });
  const args = ['vitest', 'run', '--bail', '1', '--reporter', 'json', '--outputFile', report, ...tests];
  const child = spawn('npx', args, {
    cwd: copy,
    env: { ...process.env, ...ENVIRONMENT },
    stdio: 'ignore',
    signal: stop.signal,
    timeout: RUN_MAX_MS,
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code === 0) return null;
  const results = JSON.parse(await readFile(report, 'utf8').catch(() => '{"testResults":[]}')) as {
    readonly testResults: readonly {
      readonly name: string;
      readonly assertionResults: readonly {
        readonly status: string;
        readonly fullName: string;
        readonly failureMessages: readonly string[];
      }[];
    }[];
  };
  for (const { name, assertionResults } of results.testResults) {
    const failed = assertionResults.find(({ status }) => status === 'failed');
    if (failed === undefined) continue;
    const test = `${name.slice(name.indexOf('test/'))}: ${failed.fullName}`;
    return { test, message: failed.failureMessages.join('\n') };
  }
  return { test: `${tests.join(', ')}: ended with ${code}`, message: '' };
}

function print(findings: readonly Finding[]): void {
  console.log('\n| mutant | killed by |\n|---|---|');
  for (const { mutant, killedBy } of findings) console.log(`| ${mutant} | ${killedBy ?? '**survived**'} |`);
  const survivors = findings.filter(({ killedBy }) => killedBy === null).length;
  console.log(`\n${findings.length} mutants, ${survivors} survived.`);
}
