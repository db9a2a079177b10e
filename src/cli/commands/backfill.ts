/** `backfill`: reads everything through the API into the mirror. */
import { Command } from 'commander';
import { backfill } from '../../reconcile/backfill.ts';
import { bringViewsUpToDate, chooseModels, modelsAtATime, openClient, requireApi } from '../../service/session.ts';
import { printJson } from '../output.ts';
import { createProgress } from '../progress.ts';
import { exitCodeOfRound, keepHeapSmall, observe, printRound } from '../round.ts';
import { runWithSession } from '../run.ts';

export function backfillCommand(): Command {
  return new Command('backfill')
    .description('read everything through the API into the mirror; resumes where it was cut off')
    .argument('[model...]', 'models to read: module.model or module.*; all when there are none')
    .option('--json', 'print the summary as JSON')
    .action((words: string[], { json }: { json?: boolean }) =>
      runWithSession(
        { name: 'backfill', logTo: 'stderr', onMirror: 'define', check: requireApi },
        async (session, { signal }) => {
          const models = chooseModels(session, words);
          const client = await openClient(session);
          keepHeapSmall();
          const progress = createProgress({ stream: process.stderr, models: models.length });
          try {
            const report = await backfill(
              { sql: session.sql, client, writer: session.context },
              {
                models,
                concurrency: modelsAtATime(session.config),
                holder: session.holder,
                observer: observe(progress),
                signal,
              },
            );
            await bringViewsUpToDate(session);
            progress.close();
            if (json) printJson(report);
            else printRound(report);
            return exitCodeOfRound(report);
          } finally {
            progress.close();
          }
        },
      ),
    );
}
