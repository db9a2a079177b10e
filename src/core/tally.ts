/** Counts by name, kept in memory and handed over from time to time. Names must be few: none of a sender's choosing. */
export type Tally = ReturnType<typeof createTally>;

export function createTally(write: (counts: ReadonlyMap<string, number>) => Promise<void>) {
  let counts = new Map<string, number>();
  const add = (name: string, more = 1) => void counts.set(name, (counts.get(name) ?? 0) + more);
  return {
    add: (name: string) => add(name),
    /** @throws what `write` does; the counts are then kept for the next time */
    async flush(): Promise<void> {
      if (counts.size === 0) return;
      const due = counts;
      counts = new Map();
      await write(due).catch((error) => {
        for (const [name, count] of due) add(name, count);
        throw error;
      });
    },
  };
}
