/** The portal's clock face: instants written as Flowlu writes them, in the portal's zone without naming it. */

export interface ZoneClock {
  /** `YYYY-MM-DD HH:mm:ss` of an instant given in Unix seconds. */
  dateTime(seconds: number): string;
  /** `YYYY-MM-DD` of an instant given in Unix seconds. */
  date(seconds: number): string;
}

const DAY_S = 86_400;

const pad = (value: number): string => (value < 10 ? `0${value}` : String(value));

/** Civil date of a day counted from 1970-01-01, cached because a portal spans few thousand days. */
function dayNames(): (day: number) => string {
  const names = new Map<number, string>();
  return (day) => {
    let name = names.get(day);
    if (name === undefined) {
      name = new Date(day * DAY_S * 1000).toISOString().slice(0, 10);
      names.set(day, name);
    }
    return name;
  };
}

function offsetReader(timeZone: string): (seconds: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (seconds) => {
    const parts: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(seconds * 1000)) parts[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - seconds;
  };
}

/**
 * A clock for an IANA zone. Asking Intl is slow, so offsets are looked up once per UTC day; only on a
 * day whose ends differ (a switch of summer time) is every instant asked for.
 */
export function zoneClock(timeZone: string): ZoneClock {
  const readOffset = offsetReader(timeZone);
  const offsets = new Map<number, number | 'switch'>();
  const nameOfDay = dayNames();

  const offsetAt = (seconds: number): number => {
    const day = Math.floor(seconds / DAY_S);
    let offset = offsets.get(day);
    if (offset === undefined) {
      const first = readOffset(day * DAY_S);
      offset = first === readOffset((day + 1) * DAY_S) ? first : 'switch';
      offsets.set(day, offset);
    }
    return offset === 'switch' ? readOffset(seconds) : offset;
  };
  const isUtc = timeZone === 'UTC';
  const local = (seconds: number): number => (isUtc ? seconds : seconds + offsetAt(seconds));

  return {
    date: (seconds) => nameOfDay(Math.floor(local(seconds) / DAY_S)),
    dateTime: (seconds) => {
      const at = local(seconds);
      const day = Math.floor(at / DAY_S);
      const rest = at - day * DAY_S;
      const hours = Math.floor(rest / 3600);
      return `${nameOfDay(day)} ${pad(hours)}:${pad(Math.floor((rest - hours * 3600) / 60))}:${pad(rest % 60)}`;
    },
  };
}
