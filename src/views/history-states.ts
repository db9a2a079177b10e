/**
 * The states that records went through, in SQL. Pure.
 *
 * A state of the past is the row as it stands, with the `before` of every later change laid over it. In the SQL below each
 * change stands for the state that it put an end to, and the row for the one that lasts; so a record without any
 * change has its one state too, and states beyond the retention drop off without harm to the others. All windows are
 * cut by `id`, so that a condition on it reaches the indexes.
 */
import { settingAsText } from '../store/settings.ts';

export const HISTORY = 'flowlu_history';

/** Beyond any number of a change: the state that lasts. */
const LAST = '9223372036854775807';

/** Before this moment changes may be missing, so no state is made of them. */
export const SINCE = `(select coalesce(${settingAsText('history_since')}::timestamptz, '-infinity'))`;

/**
 * The states of records, their values still to be read.
 * @param key the columns that tell one record
 * @param changes which changes are theirs, as a condition on `h`
 * @param rows the table of their rows
 */
export function states(key: readonly string[], changes: string, rows: string): string {
  const columns = (alias: string) => key.map((column) => `${alias}.${column}`).join(', ');
  const keyOfChange = key.map((column) => (column === 'id' ? 'h.entity_id as id' : nameParts[column])).join(', ');
  return `(
  select ${columns('e')}, e.number, e.lives, e.change, e.path, e.observed_at, e.began_at, e.past,
         max(e.began_at) over (partition by ${columns('e')} order by e.ended_by rows unbounded preceding) as valid_from,
         case when e.ended_by <> ${LAST} then max(e.began_at) over (
           partition by ${columns('e')} order by e.ended_by rows between unbounded preceding and 1 following) end as valid_to
    from (
      select ${columns('c')}, c.number as ended_by, c.lives,
             lead(c.number) over w as number, lead(c.change) over w as change, lead(c.path) over w as path,
             coalesce(lead(c.observed_at) over w, c.prior_observed_at) as observed_at,
             case when lead(c.number) over w is null then coalesce(c.prior_version, c.prior_observed_at)
                  else coalesce(lead(c.version) over w, lead(c.observed_at) over w) end as began_at,
             ${HISTORY}.laid_over(c.before) over (partition by ${columns('c')} order by c.number desc rows unbounded preceding) as past
        from (
          select ${keyOfChange}, h.number, h.change, h.path, h.version, h.observed_at, h.prior_version,
                 h.prior_observed_at, h.before, h.change in ('updated', 'deleted') as lives
            from sync.history h
           where ${changes} and h.recorded_at >= ${SINCE}
          union all
          select ${columns('t')}, ${LAST}, null, null, null, null,
                 case when t._version <= t._observed_at + interval '1 day' then t._version end, t._observed_at, null,
                 t._deleted_at is null
            from ${rows} t
        ) c
      window w as (partition by ${columns('c')} order by c.number desc)
    ) e
) s`;
}

const nameParts: Readonly<Record<string, string>> = {
  module: "split_part(h.model, '.', 1) as module",
  model: "substr(h.model, strpos(h.model, '.') + 1) as model",
};
