/** `login`: lets the mirror read the portal by OAuth, with a user's consent in a browser. */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { UsageError } from '../../core/errors.ts';
import { beginLogin, completeLogin, hashOf, LOGIN_VALID_S, LoginError, readAnswer } from '../../oauth/login.ts';
import { loginDepsOf } from '../../service/authorization.ts';
import { type Listener, listenForCallback } from '../../service/login-listener.ts';
import type { Session } from '../../service/session.ts';
import { grantStatus } from '../../store/grant.ts';
import { requestOutcome } from '../../store/oauth-requests.ts';
import { printLine, write } from '../../terminal/output.ts';
import { type CommandContext, type Result, runWithSession } from '../run.ts';

const POLL_MS = 500;

export const loginCommand = new Command('login')
  .option(
    '--answer <address>',
    'complete a login that was started elsewhere, with the address the browser was sent back to',
  )
  .action(({ answer }: { answer?: string }, command: Command) =>
    runWithSession(
      command,
      'work',
      (session, { signal }) =>
        login(session, answer, signal).catch((error: unknown) => {
          if (!(error instanceof LoginError)) throw error;
          throw new Error(`not logged in: ${error.message}`, { cause: error });
        }),
      { check: requireOAuth, isBusy: false },
    ),
  );

function requireOAuth({ config }: Pick<CommandContext, 'config'>) {
  const { oauth } = config.flowlu;
  if (oauth !== null) return oauth;
  throw new UsageError(
    'this command is for OAuth: set FLOWLU_CLIENT_ID and the settings that it needs; see docs/app.md',
  );
}

async function login(session: Session, answer: string | undefined, signal: AbortSignal): Promise<Result> {
  const oauth = requireOAuth(session);
  const { sql, log } = session;
  const deps = loginDepsOf(oauth, sql);
  if (answer !== undefined) {
    await completeLogin(deps, readAnswer(answer));
  } else {
    const { url, state } = await beginLogin(deps);
    const listener = await listenForCallback(oauth.redirectUrl, (given) => completeLogin(deps, given), log);
    try {
      // On stdout nothing but the outcome: the address is for a person, and holds a secret until it is used.
      write(
        process.stderr,
        `Open this address in a browser, and allow the app:\n\n  ${url}\n\n${whereItEnds(listener, oauth.redirectUrl)}\n`,
      );
      await ended(session, hashOf(state), (line) => completeLogin(deps, readAnswer(line)), signal);
    } finally {
      await listener?.close();
    }
  }
  const grant = await grantStatus(sql);
  return {
    data: { logged_in: true, granted_at: grant?.granted_at, expires_at: grant?.expires_at },
    print: () =>
      printLine('Logged in. The mirror reads the portal as this user, as far as the scopes of the app allow.'),
  };
}

function whereItEnds(listener: Listener | null, redirectUrl: string): string {
  const taker =
    listener === null ? 'a running `flowlu-mirror serve` takes it from there' : 'this command takes it from there';
  return (
    `The portal then sends the browser to ${redirectUrl}: ${taker}.\n` +
    'If the browser cannot get there, copy the address that it was sent to and paste it here.'
  );
}

/** Resolves when the login has succeeded, whoever took the answer; a pasted line is one way. */
async function ended(
  { sql }: Session,
  stateHash: string,
  paste: (line: string) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  let pasted: Promise<void> | null = null;
  lines.on('line', (line) => {
    if (line.trim() === '') return;
    pasted = (pasted ?? Promise.resolve())
      .then(() => paste(line))
      .catch((error: unknown) =>
        write(process.stderr, `${error instanceof LoginError ? error.message : 'it failed'}\n`),
      );
  });
  try {
    for (const end = performance.now() + LOGIN_VALID_S * 1_000; performance.now() < end; ) {
      const outcome = await requestOutcome(sql, stateHash);
      if (outcome === 'done') return;
      if (outcome !== null) throw new LoginError(outcome);
      await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    throw new LoginError('nobody came back from the portal within ten minutes');
  } finally {
    lines.close();
    process.stdin.unref?.();
  }
}
