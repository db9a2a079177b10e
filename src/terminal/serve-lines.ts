/** What `serve` prints on a terminal: where everything is, then a line for each webhook. */
import { version } from '../core/version.ts';
import type { Session } from '../service/session.ts';
import type { LedgerEntry } from '../store/deliveries/ledger.ts';
import { coloursOf, printLine, type TextStream } from './output.ts';

export function printSummary(
  { config, database, models }: Session,
  url: string,
  stream: TextStream = process.stdout,
): void {
  const { dim, bold } = coloursOf(stream);
  const { baseUrl, apiKey, oauth } = config.flowlu;
  const unlisted = models.filter(({ listable }) => !listable).length;
  const rows = [
    [
      'Portal',
      baseUrl === null
        ? 'webhooks alone'
        : `${new URL(baseUrl).host}${(apiKey ?? oauth) === null ? ', webhooks alone' : ''}`,
    ],
    ['Database', database.displayUrl],
    ['Models', `${models.length}${unlisted === 0 ? '' : `, ${unlisted} of them filled by webhooks alone`}`],
    ['Page', `${url}/status`],
    ['Webhooks', `${config.app.publicUrl ?? url}/webhooks/flowlu/••••`],
  ] as const;
  const lines = rows.map(([name, value]) => `${name.padEnd(10)}${value}`);
  const title = ` flowlu-mirror ${version} `;
  const width = Math.max(title.length, ...lines.map((line) => line.length)) + 2;
  printLine(`${dim('╭')}${bold(title)}${dim(`${'─'.repeat(width - title.length)}╮`)}`, stream);
  for (const line of lines) printLine(`${dim('│')} ${line.padEnd(width - 2)} ${dim('│')}`, stream);
  printLine(dim(`╰${'─'.repeat(width)}╯`), stream);
  if (database.embedded)
    printLine('To query the database, run flowlu-mirror reader <login>: it prints an address with a password.', stream);
}

export function printDelivery({ subject, entityId, decision, status, reason }: LedgerEntry): void {
  const { dim } = coloursOf(process.stdout);
  const about = subject === null ? 'webhook' : `${subject.module}.${subject.model} ${entityId ?? ''} ${subject.action}`;
  const clock = new Date().toTimeString().slice(0, 8);
  const line = `${about} → ${decision ?? status}${reason === null ? '' : ` (${reason})`}`.replace(/\p{Cc}+/gu, ' ');
  printLine(`${dim(clock)} ${line}`);
}
