/** The program: runs the command that the command line names. */
import { setMaxListeners } from 'node:events';
import { EXIT, STOP_SIGNALS } from './exit-codes.ts';

// Every wait of the work under way listens to one signal; more than this would be a leak, which Node warns of.
setMaxListeners(200);

// Who reads a part of the output, as `head` does, closes the pipe when it has enough.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

// A command listens once it is loaded, which takes a second; whoever stops it before gets the same exit code.
for (const name of STOP_SIGNALS) {
  process.on(name, () => {
    if (process.listenerCount(name) === 1) process.exit(process.exitCode ?? EXIT.interrupted);
  });
}

/** How long the process may take to end by itself once its work is done. */
const LINGER_MS = 1_000;

const { runProgram } = await import('./program.ts');
await runProgram(process.argv.slice(2));
// A connection to a database that hangs waits for a farewell that never comes, and would keep the process.
setTimeout(() => process.exit(), LINGER_MS).unref();
