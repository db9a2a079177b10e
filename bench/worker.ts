/** Work in processes of their own: jobs go there and results come back over the channel of `fork`. */
import { type ChildProcess, fork } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

type Reply = { readonly result: unknown } | { readonly failure: string };

/** In the worker: answers each job of the parent, one at a time; ends when the parent does. */
export function answerJobs<Job, Result>(run: (job: Job) => Promise<Result>): void {
  process.on('message', (job) => {
    run(job as Job)
      .then(
        (result): Reply => ({ result }),
        (error: unknown): Reply => ({
          failure: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
      )
      .then((reply) => process.send?.(reply));
  });
  process.on('disconnect', () => process.exit(0));
}

export interface Worker<Job, Result> {
  readonly pid: number | undefined;
  /** Has a job done; the next one may follow only after its result. */
  run(job: Job): Promise<Result>;
  stop(): Promise<void>;
}

/** Longest time for one job. */
const JOB_MAX_MS = 600_000;

/** In the parent: starts a TypeScript file as a worker. */
export function startWorker<Job, Result>(file: URL): Worker<Job, Result> {
  const child = fork(fileURLToPath(file), [], { execArgv: ['--import', 'tsx'] });
  return {
    pid: child.pid,
    run(job) {
      child.send(job as object);
      return reply<Result>(child, basename(file.pathname));
    },
    stop: () => stopChild(child),
  };
}

function reply<Result>(child: ChildProcess, file: string): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${file} took longer than ${JOB_MAX_MS} ms`)), JOB_MAX_MS);
    const onMessage = (message: unknown) => {
      child.off('exit', onExit);
      clearTimeout(timer);
      const answer = message as Reply;
      if ('failure' in answer) reject(new Error(`${file}: ${answer.failure}`));
      else resolve(answer.result as Result);
    };
    const onExit = (code: number | null) => {
      child.off('message', onMessage);
      clearTimeout(timer);
      reject(new Error(`${file} ended with ${code}`));
    };
    child.once('message', onMessage).once('exit', onExit);
  });
}

const STOP_MAX_MS = 20_000;

/** Asks a child to end, and ends it when it does not. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MAX_MS);
  await ended;
  clearTimeout(timer);
}
