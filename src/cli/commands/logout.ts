/** `logout`: forgets the tokens. */
import { Command } from 'commander';
import { deleteGrant } from '../../store/grant.ts';
import { EXIT } from '../exit-codes.ts';
import { printJson, printLine } from '../output.ts';
import { runWithSession } from '../run.ts';

export function logoutCommand(): Command {
  return new Command('logout')
    .description('delete the OAuth tokens; running replicas stop reading the portal within half a minute')
    .option('--json', 'print the outcome as JSON')
    .action(({ json }: { json?: boolean }) =>
      runWithSession({ name: 'logout', logTo: 'stderr', onMirror: 'look' }, async ({ sql }) => {
        const had = await deleteGrant(sql);
        if (json) printJson({ logged_out: had });
        else if (had)
          printLine('Logged out here. To withdraw the tokens at Flowlu too, uninstall the app in the portal.');
        else printLine('Nobody was logged in.');
        return EXIT.done;
      }),
    );
}
