import { Command } from 'commander';
import { deleteGrant } from '../../store/grant.ts';
import { printLine } from '../../terminal/output.ts';
import { runWithSession } from '../run.ts';

export const logoutCommand = new Command('logout').action((_: unknown, command: Command) =>
  runWithSession(command, 'look', async ({ sql }) => {
    const had = await deleteGrant(sql);
    const text = had
      ? 'Logged out here. To withdraw the tokens at Flowlu too, uninstall the app in the portal.'
      : 'Nobody was logged in.';
    return { data: { logged_out: had }, print: () => printLine(text) };
  }),
);
