/** What the database room asks of a logger; pino's fits. */
export interface DatabaseLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** For callers that want no log. */
export const silent: DatabaseLog = { debug: () => {}, info: () => {}, warn: () => {} };
