/** The page that Flowlu shows in a frame: one self-contained document without scripts or external resources. */
import { html, raw } from 'hono/html';
import { needsPerson, type State } from './findings.ts';
import type { Health } from './health.ts';

/** Age in words, too coarse to reveal what is mirrored; by the seconds up to which they apply. */
const AGES = [
  [20 * 60, 'within the last minutes'],
  [6 * 3_600, 'within the last hours'],
  [36 * 3_600, 'within about a day'],
] as const;

const AWAY =
  'Its database does not answer just now. Nothing is lost: what is missed meanwhile is read from Flowlu later.';

const STYLE = `
  :root { color-scheme: light dark; --card: #fff; --page: #f4f5f7; --line: #d9dce1; --good: #1a7f45; --care: #9a6200; --bad: #b3261e; }
  @media (prefers-color-scheme: dark) {
    :root { --card: #1f2226; --page: #15171a; --line: #383d44; --good: #5fd08f; --care: #f0b95a; --bad: #ff8a80; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--page);
         font: 16px/1.5 system-ui, sans-serif; }
  main { width: 100%; max-width: 30rem; padding: 1.5rem 1.75rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
  h1 { margin: 0 0 1rem; font-size: 1rem; font-weight: 600; opacity: .75; }
  h2 { margin: 0 0 .25rem; font-size: 1.35rem; line-height: 1.3; display: flex; gap: .6rem; align-items: baseline; }
  h2::before { content: ''; flex: none; width: .8rem; height: .8rem; border-radius: 50%; background: currentColor; }
  .good { color: var(--good); } .reading { color: inherit; } .care { color: var(--care); } .bad { color: var(--bad); }
  p { margin: .25rem 0 0; }
  footer { margin-top: 1.25rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .875rem; opacity: .8; }`;

export function renderAppPage(health: Health) {
  const { isThere, mood } = moodOf(health);
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta http-equiv="refresh" content="60">
  <title>flowlu-mirror</title>
  <style>${raw(STYLE)}</style>
</head>
<body>
  <main>
    <h1>flowlu-mirror</h1>
    <h2 class="${mood}">${HEADLINES[mood]}</h2>
    <p>${sentence(health)}</p>
    ${isThere && needsPerson(health) ? html`<p>Something needs a look by whoever runs it.</p>` : ''}
    <footer>
      The mirror keeps a copy of this portal in a database of your own and never changes anything in Flowlu. What it holds is
      not shown here. Whoever runs it finds more with <code>flowlu-mirror status</code>.
    </footer>
  </main>
</body>
</html>`;
}

const HEADLINES: Readonly<Record<State, string>> = {
  good: 'The mirror is up to date',
  reading: 'The mirror is being filled',
  care: 'The mirror is running',
  bad: 'The mirror is out of order',
};

/** The state of the findings, but no better than the last comparison allows. */
function moodOf({ situation, state }: Health): { readonly isThere: boolean; readonly mood: State } {
  if (situation.kind !== 'there') return { isThere: false, mood: 'bad' };
  const { compared } = situation.facts;
  // Without the API nobody knows what was missed.
  const isFresh = compared.isCompared && ageWords(compared.age_s) === AGES[0][1];
  return { isThere: true, mood: state === 'good' && !isFresh ? 'care' : state };
}

function sentence({ situation, findings }: Health): string {
  if (situation.kind !== 'there') return AWAY;
  const { compared, deliveries, firstReading, now, refusal } = situation.facts;
  if (refusal !== null) return 'Flowlu refuses its API key: a new one has to be made and set.';
  if (findings.some(({ code }) => code === 'login_refused'))
    return 'Flowlu has withdrawn its login: somebody has to log in again.';
  if (findings.some(({ code }) => code === 'not_logged_in'))
    return 'Nobody is logged in to Flowlu, so nothing is read: somebody has to log in.';
  if (firstReading !== null) return 'Its first reading is not complete: much of the portal may not be in it yet.';
  if (compared.isCompared) {
    const age = ageWords(compared.age_s);
    if (age === null) return 'It has not been compared with Flowlu yet.';
    return age === OLD ? `It has not been compared with Flowlu ${OLD}.` : `It was compared with Flowlu ${age}.`;
  }
  const { last_received_at } = deliveries;
  const age = ageWords(last_received_at === null ? null : (Date.parse(now) - Date.parse(last_received_at)) / 1_000);
  if (age === null) return 'It has received nothing from Flowlu yet.';
  return age === OLD ? `It has received no change from Flowlu ${OLD}.` : `It received a change from Flowlu ${age}.`;
}

const OLD = 'for more than a day';

function ageWords(age_s: number | null): string | null {
  if (age_s === null) return null;
  return AGES.find(([upTo]) => age_s < upTo)?.[1] ?? OLD;
}

/** A mirror and its image, in a colour that stands out in both themes. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" width="256" height="256">
<rect width="256" height="256" rx="48" fill="#2457d6"/>
<path d="M60 68h52v120H60z" fill="#fff"/>
<path d="M144 68h52v120h-52z" fill="none" stroke="#fff" stroke-width="12"/>
<path d="M128 44v168" stroke="#fff" stroke-width="8" stroke-dasharray="16 12"/>
</svg>
`;
