/** Portals that count more rows than they list, such as rows that the key may not see. */

const SURPLUS = [
  /^the portal counts (?<counted>\d+) rows but sent (?<sent>\d+)$/,
  /^the portal announced (?<counted>\d+) more rows but sent none$/,
  /^the portal counts (?<counted>\d+) rows more than it lists/,
];

/** How many more rows the portal counts than it lists, if the reason says only that; otherwise null. */
export function surplusOf(reason: string | null | undefined): number | null {
  const groups = SURPLUS.map((pattern) => pattern.exec(reason ?? '')?.groups).find((found) => found !== undefined);
  return groups === undefined ? null : Number(groups.counted) - Number(groups.sent ?? 0);
}

/** The reason of a listing considered complete because the last one had the same surplus. */
export const asBefore = (surplus: number) => `the portal counts ${surplus} rows more than it lists, as before`;
