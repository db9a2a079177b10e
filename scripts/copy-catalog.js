/** Puts the simulator's list of models beside its compiled code, which the command `demo` runs. */
import { copyFileSync } from 'node:fs';

copyFileSync('test/simulator/catalog.ndjson', 'dist/simulator/catalog.ndjson');
