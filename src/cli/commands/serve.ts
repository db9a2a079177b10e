/** `serve`: receives webhooks, applies them and answers about itself, until it is told to stop. */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { Config } from '../../config/index.ts';
import { UsageError } from '../../core/errors.ts';
import { createApp } from '../../service/app.ts';
import { lacksLogin } from '../../service/authorization.ts';
import { startBackground } from '../../service/background.ts';
import { checkExposure } from '../../service/exposure.ts';
import { startLoop } from '../../service/loop.ts';
import { authorityOf, type Listener, listen } from '../../service/server.ts';
import { openClientsIfAny, type Session } from '../../service/session.ts';
import { beginWork, isFirstWorker, leavePrimary, runWorkers } from '../../service/workers.ts';
import { printDelivery, printSummary } from '../../terminal/serve-lines.ts';
import { wholeNumber } from '../arguments.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type CommandContext, runCommand, runWithSession } from '../run.ts';

/** More would wait for PostgreSQL, and each has connections of its own. */
const WORKERS_MAX = 64;

export const serveCommand = new Command('serve')
  .option(
    '--workers <number>',
    'processes that serve the port together, for more than two cores',
    wholeNumber(WORKERS_MAX),
    1,
  )
  .action(({ workers }: { readonly workers: number }, command: Command) => {
    const logTo = 'stdout';
    if (cluster.isWorker) return runWithSession(command, 'serve', serve, { logTo, check: beginWork });
    const options = { logTo, check: checkSettings } as const;
    if (workers === 1) return runWithSession(command, 'serve', serve, options);
    const run = async (context: CommandContext) => (await runWorkers(workers, context)) as ExitCode;
    return runCommand(command, run, options);
  });

async function checkSettings({ config, log }: CommandContext): Promise<void> {
  if (config.webhook.secrets.length === 0) {
    throw new UsageError(
      'serve needs WEBHOOK_SECRET: anyone who knows the address could write into the mirror without it. ' +
        'Make one with: openssl rand -hex 32',
    );
  }
  const reach = await checkExposure(config.http);
  if (reach === 'private' && config.http.tls === null) {
    log.warn('plain HTTP on a private address: whoever can listen in that network learns the webhook secret');
  }
}

const SECRET_USE_INTERVAL_MS = 15_000;
/** How often the certificate's files are looked at. */
const CERTIFICATE_INTERVAL_MS = 10_000;
const CERTIFICATE_WARNING_MS = 7 * 24 * 3_600_000;

/** Puts a renewed certificate to use, and says so when nobody has renewed it in time. */
function keepCertificate(listener: Listener, { log, metrics }: Session, signal: AbortSignal) {
  let warned: Date | null = null;
  return startLoop({
    name: 'reading the certificate',
    intervalMs: CERTIFICATE_INTERVAL_MS,
    log,
    signal,
    async work() {
      const isNew = await listener.renewCertificate();
      const expiresAt = listener.certificateExpiresAt;
      if (expiresAt === null) return;
      metrics.tlsCertificateExpiry.set(expiresAt.getTime() / 1_000);
      if (isNew) log.info({ expires_at: expiresAt }, 'the new certificate is in use');
      if (warned === expiresAt || expiresAt.getTime() > Date.now() + CERTIFICATE_WARNING_MS) return;
      warned = expiresAt;
      log.warn({ expires_at: expiresAt }, 'the certificate expires within a week, or has expired');
    },
  });
}

const LIVEZ_MAX_MS = 2_000;

/** Says so where a port is taken by another `serve`. @throws Error always */
async function explainTaken(error: Error, { host, port }: Config['http']): Promise<never> {
  const livez = `http://${authorityOf(host, port)}/livez`;
  const isTaken = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE';
  const answer = isTaken && (await fetch(livez, { signal: AbortSignal.timeout(LIVEZ_MAX_MS) }).catch(() => null));
  const isServe = answer && /^\{"alive":/.test(await answer.text().catch(() => ''));
  throw isServe ? new Error(`${error.message}, or end the \`serve\` that runs there already`) : error;
}

async function serve(session: Session, { signal, isQuiet }: CommandContext): Promise<ExitCode> {
  const { config, log, database } = session;
  const isFirst = isFirstWorker();
  const clients = await openClientsIfAny(session);
  if (clients === null && isFirst)
    log.warn('FLOWLU_API_KEY is not set; the mirror lives on webhooks alone and cannot find what they miss');
  const lacking = await lacksLogin(config, session.sql);
  if (lacking !== null && isFirst)
    log.warn({ why: lacking.sentence }, 'the API is not read before somebody runs flowlu-mirror login');
  const isShown = process.stdout.isTTY && !isQuiet;
  // Listening comes first: a port that is taken ends the command before anything runs by itself.
  const app = createApp(session, {
    onPending: () => background.drain.wake(),
    onHint: () => background.settle?.wake(),
    isStopping: () => signal.aborted,
    onRecorded: isShown ? printDelivery : undefined,
  });
  const listener = await listen(app, config.http).catch((error: Error) => explainTaken(error, config.http));
  const background = startBackground(session, clients, signal, app.health);
  const notes = startLoop({
    name: 'noting which webhook secrets are used',
    intervalMs: SECRET_USE_INTERVAL_MS,
    log,
    signal,
    naps: session.naps,
    work: app.noteSecretUse,
  });
  const loops = [
    ...background.all,
    notes,
    ...(config.http.tls === null ? [] : [keepCertificate(listener, session, signal)]),
  ];
  const { sleepMs } = config.database;
  const naps = sleepMs > 0 && { naps_up_to_s: sleepMs / 1_000 };
  if (isShown && isFirst) printSummary(session, listener.url);
  if (!isShown)
    log.info({ url: listener.url, database: database.displayUrl, models: session.models.length, ...naps }, 'listening');

  if (!signal.aborted) await once(signal, 'abort');
  log.info({ grace_ms: config.http.shutdownGraceMs }, 'stopping: finishing what has been received');
  const graceEnds = sleep(config.http.shutdownGraceMs, undefined, { ref: false });
  await listener.stop(config.http.shutdownGraceMs);
  const drained = app.idle().then(() => app.noteSecretUse().catch(() => {}));
  await Promise.race([Promise.all([drained, ...loops.map(({ ended }) => ended)]), graceEnds]);
  log.info('stopped');
  leavePrimary();
  return EXIT.done;
}
