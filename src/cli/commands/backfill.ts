import { Command } from 'commander';
import { backfill } from '../../reconcile/backfill.ts';
import { bringViewsUpToDate } from '../../service/session.ts';
import { exitCodeOfRound, printRound, runOverModels } from '../round.ts';

export const backfillCommand = new Command('backfill')
  .argument('[model...]', 'models to read: module.model or module.*; all when there are none')
  .action((words: string[], _: unknown, command: Command) =>
    runOverModels(command, 'define', words, async (deps, round, session) => {
      // Whoever names models wants them read.
      const report = await backfill(deps, { ...round, skipsRead: words.length === 0 });
      await bringViewsUpToDate(session);
      return { data: report, print: () => printRound(report), exitCode: exitCodeOfRound(report) };
    }),
  );
