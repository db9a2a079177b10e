import type { FlowluClient } from '../flowlu/client.ts';
import type { WriterContext } from '../merge/writer.ts';
import type { Sql } from '../postgres/connection.ts';

export interface ListingDeps {
  readonly sql: Sql;
  readonly client: FlowluClient;
  readonly writer: WriterContext;
}
