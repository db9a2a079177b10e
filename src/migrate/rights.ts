/** Which rights the role of the service lacks, and the statement that gives them back. */
import type { Queryable } from '../postgres/connection.ts';
import { LEDGER } from '../store/deliveries/ledger.ts';
import { type Ownership, ownership, wrongRole } from './owner.ts';
import { quoted, RIGHTS, WRITER } from './roles.ts';

export interface MissingRights {
  readonly found: string;
  readonly advice: string;
  /** Whether webhooks cannot be recorded without them. */
  readonly stopsWebhooks: boolean;
}

interface Lacking {
  readonly place: string;
  readonly privileges: string;
}

/** More tables than this are given the right by schema. */
const NAMED_MAX = 3;

/** Null where the role may do all that the service does with rows. */
export async function missingRights(sql: Queryable): Promise<MissingRights | null> {
  const wanted = JSON.stringify(RIGHTS.filter(({ role, schema }) => role === WRITER && /^(flowlu|sync)$/.test(schema)));
  const lacking = await sql<Lacking[]>`
    with wanted as (
      select n.oid, n.nspname, n.nspowner, w."table", p.privilege
        from jsonb_to_recordset(${wanted}::text::jsonb) as w(schema text, "table" text, privileges jsonb)
        join pg_namespace n on n.nspname = w.schema, jsonb_array_elements_text(w.privileges) as p(privilege)
    )
    select 'schema ' || nspname as place, 'usage' as privileges
      from wanted where not has_schema_privilege(oid, 'usage') group by nspname
     union all
    select w.nspname || '.' || c.relname, string_agg(distinct w.privilege, ', ')
      from wanted w join pg_class c on c.relnamespace = w.oid and c.relkind in ('r', 'p') and c.relowner = w.nspowner
       and c.relname = coalesce(w."table", c.relname)
     where not has_table_privilege(c.oid, w.privilege) group by w.nspname, c.relname
     order by 1`;
  if (lacking.length === 0) return null;
  const own = await ownership(sql);
  if (own.is_reader || !(own.may_define || own.is_writer)) return { ...wrongRole(own), stopsWebhooks: true };
  return {
    found: `the database role ${own.role} lacks ${wordsOf(lacking)}`,
    advice: `as the owner of the mirror or an administrator: ${statementsFor(lacking, own)}`,
    stopsWebhooks: lacking.some(({ place }) => place === 'schema sync' || place === LEDGER),
  };
}

function wordsOf(lacking: readonly Lacking[]): string {
  const named = lacking.slice(0, NAMED_MAX).map(({ place, privileges }) => `${privileges} on ${place}`);
  const rest = lacking.length - NAMED_MAX;
  return `${named.join(', ')}${rest > 0 ? ` and more on ${rest} others` : ''}`;
}

/** Rights that came by the group go back to the group. */
function statementsFor(lacking: readonly Lacking[], { role, writer, may_define }: Ownership): string {
  const to = may_define ? quoted(role) : writer;
  const schemas = lacking.map(({ place }) => place.split('.', 1)[0] as string);
  const isMany = lacking.length > NAMED_MAX;
  const statements = lacking.map(({ place, privileges }, index) => {
    const where = isMany && place.includes('.') ? `all tables in schema ${schemas[index]}` : place;
    return `grant ${privileges} on ${where} to ${to}`;
  });
  return [...new Set(statements)].join('; ');
}
