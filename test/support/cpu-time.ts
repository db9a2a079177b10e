/**
 * What a synchronous function costs. Processor time of this process: however busy the machine is with other work, it
 * stays about the same. For bounds that tell linear work from quadratic, and nothing finer.
 */
export function cpuTime(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
