/** Parts that several sections of the status page use. */
import { asTyped } from '../core/typed.ts';
import type { Finding, Severity } from './finding.ts';
import type { State } from './findings.ts';
import { ageOf } from './words.ts';

/** A moment as an age; the moment itself shows on hover. */
export function Ago({ at, now }: { readonly at: string | null; readonly now: string }) {
  if (at === null) return <span class="muted">–</span>;
  return (
    <time datetime={at} title={moment(at)}>
      {ageOf(at, now)}
    </time>
  );
}

/** A column of a table: what stands over it, its class, and what shows on hover. */
type Column = readonly [text: string, kind?: 'n' | 'n wide', title?: string];

export function TableHead({ columns }: { readonly columns: readonly Column[] }) {
  return (
    <thead>
      <tr>
        {columns.map(([text, kind, title]) => (
          <th scope="col" class={kind} title={title}>
            {text}
          </th>
        ))}
      </tr>
    </thead>
  );
}

export const moment = (at: string) => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

const TICK = 'M5 12.5l4.5 4.5L19 7.5';
const WARNING = 'M12 4L2.5 20h19zM12 10v4.5M12 17.2v.3';
const CROSS = 'M6 6l12 12M18 6L6 18';
const INFO = 'M12 2.5a9.5 9.5 0 1 0 .01 0zM12 11v6M12 7v.3';
const ARROWS = 'M20 11a8 8 0 0 0-14-4.5M4 4v3.5h3.5M4 13a8 8 0 0 0 14 4.5M20 20v-3.5h-3.5';

const SHAPES: Readonly<Record<State | Severity, string>> = {
  good: TICK,
  reading: ARROWS,
  care: WARNING,
  bad: CROSS,
  note: INFO,
};

export function Icon({ kind }: { readonly kind: State | Severity }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={SHAPES[kind]} />
    </svg>
  );
}

const WEIGHT: Readonly<Record<Severity, string>> = {
  bad: 'Out of order',
  care: 'Needs a look',
  note: 'For your information',
};

/** Something that was found: what, since when, what to do and what to type. */
export function FindingCard({ finding, now }: { readonly finding: Finding; readonly now: string }) {
  const { severity, sentence, remedy } = finding;
  return (
    <li class={`finding ${severity}`}>
      <Icon kind={severity} />
      <div>
        <Since finding={finding} now={now} />
        <p>
          <b>
            <Words text={sentence} />.
          </b>{' '}
          {remedy === null ? null : <Words text={`${remedy}.`} />}
        </p>
        <ToType finding={finding} />
      </div>
    </li>
  );
}

/** A text in which code stands between backticks. */
export function Words({ text }: { readonly text: string }) {
  return <>{text.split('`').map((part, index) => (index % 2 === 0 ? part : <code>{part}</code>))}</>;
}

/** How much it weighs, and since when it has been so. */
export function Since({ finding: { severity, since }, now }: { readonly finding: Finding; readonly now: string }) {
  return (
    <p class="small">
      <span class="flag">{WEIGHT[severity]}</span>
      {since === null ? null : (
        <span class="muted">
          {' since '}
          <time datetime={since} title={`${moment(since)}, ${ageOf(since, now)}`}>
            {clockOf(since, now)}
          </time>
        </span>
      )}
    </p>
  );
}

export function ToType({ finding: { command } }: { readonly finding: Finding }) {
  if (command === null) return null;
  return (
    <p>
      <code>{asTyped(command)}</code>
    </p>
  );
}

/** A moment of today by the clock, an earlier one with its date. */
function clockOf(at: string, now: string): string {
  const [then, today] = [moment(at), moment(now)];
  return then.slice(0, 10) === today.slice(0, 10) ? `${then.slice(11, 16)} UTC` : `${then.slice(0, 16)} UTC`;
}
