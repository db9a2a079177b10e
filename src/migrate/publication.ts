/** The publication through which other servers follow the mirror by logical replication. */
import type { Transaction } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';

/** Name of the publication; where it exists, every migration keeps it complete. */
const PUBLICATION = 'flowlu_mirror';

/** What `flowlu_live.sync_status` needs of the ledger, so that a follower's tells the truth, too. */
const OF_THE_LEDGER = ['watermarks', 'doubtful', 'schedule', 'listings'];

export interface PublicationReport {
  readonly name: string;
  /** Tables that it gained now, as `schema.table`. */
  readonly added: readonly string[];
  /** The server's `wal_level`; nobody can follow before it is `logical`. */
  readonly wal_level: string;
}

/**
 * Makes sure that the publication holds every table of the mirror: it is created if that is asked for, and completed
 * wherever it exists. It names its tables, because a publication of a whole schema takes a superuser, and
 * PostgreSQL 15. Rows are found again by their primary key; tables without one stay out.
 * @returns null where there is no publication.
 */
export async function applyPublication(tx: Transaction, create: boolean): Promise<PublicationReport | null> {
  const [found] = await tx<{ present: boolean; wal_level: string }[]>`
    select exists (select from pg_publication where pubname = ${PUBLICATION}) as present,
           current_setting('wal_level') as wal_level`;
  if (found === undefined || (!found.present && !create)) return null;
  const missing = await tx<{ schema: string; table: string }[]>`
    select n.nspname as schema, c.relname as table
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and (n.nspname = 'flowlu' or n.nspname = 'sync' and c.relname = any(${OF_THE_LEDGER}::text[]))
       and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
       and not exists (
         select from pg_publication_tables p
          where p.pubname = ${PUBLICATION} and p.schemaname = n.nspname and p.tablename = c.relname
       )
     order by 1, 2`;
  if (missing.length > 0) {
    const tables = missing.map(({ schema, table }) => `${identifier(schema)}.${identifier(table)}`).join(', ');
    await tx.unsafe(
      found.present
        ? `alter publication ${PUBLICATION} add table ${tables}`
        : `create publication ${PUBLICATION} for table ${tables}`,
    );
  }
  const added = missing.map(({ schema, table }) => `${schema}.${table}`);
  return { name: PUBLICATION, added, wal_level: found.wal_level };
}
