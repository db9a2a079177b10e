/** A process of its own that opens the embedded database, says how, and stays until it is ended. */
import { openEmbedded } from '../../src/embedded/server.ts';

const [directory = ''] = process.argv.slice(2);
const server = await openEmbedded({ directory, settings: { fsync: 'off' } });
process.once('SIGTERM', () => void server.close());
process.stdout.write(`${JSON.stringify({ url: server.url, started: server.started })}\n`);
