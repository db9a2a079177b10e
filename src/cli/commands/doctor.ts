import { Command } from 'commander';
import { createRedactor } from '../../core/redact.ts';
import type { Check, Report } from '../../doctor/check.ts';
import { type DoctorFlags, examine } from '../../doctor/examine.ts';
import { printCheck, printLine } from '../../terminal/output.ts';
import { EXIT } from '../exit-codes.ts';
import { runCommand } from '../run.ts';

export const doctorCommand = new Command('doctor')
  .option('--quick', 'ask for one model per module only')
  .option('--record <directory>', 'write down the form of every answer, without its contents, for a bug report')
  .option('--webhook', 'wait for the first delivery of a webhook; `serve` has to run')
  .action((flags: DoctorFlags, command: Command) =>
    runCommand(command, async (context) => {
      const redact = createRedactor(context.config.secrets);
      const checks: Check[] = [];
      const report: Report = (check) => {
        const safe = { ...check, found: redact(check.found) };
        checks.push(safe);
        if (!context.isJson) printCheck(safe);
      };
      const say = (text: string) => {
        if (!context.isQuiet) printLine(`… ${text}`, process.stderr);
      };
      await examine({ ...context, say }, flags, report);
      const number = (status: Check['status']) => checks.filter((check) => check.status === status).length;
      const healthy = number('fail') === 0;
      const print = () =>
        printLine(`\n${number('ok')} in order, ${number('warn')} to look at, ${number('fail')} to mend.`);
      return { data: { healthy, checks }, print, exitCode: healthy ? EXIT.done : EXIT.finding };
    }),
  );
