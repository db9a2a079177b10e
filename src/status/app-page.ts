/** The page that Flowlu shows in a frame: one self-contained document, no script, nothing from elsewhere. */
import { html, raw } from 'hono/html';
import type { Freshness, Health } from './health.ts';

const COMPARED: Readonly<Record<Freshness, string>> = {
  minutes: 'It was compared with Flowlu within the last minutes.',
  hours: 'It was compared with Flowlu within the last hours.',
  day: 'It was compared with Flowlu within about a day.',
  older: 'It has not been compared with Flowlu for more than a day.',
  never: 'It has not been compared with Flowlu yet.',
};

const RECEIVED: Readonly<Record<Freshness, string>> = {
  minutes: 'It received a change from Flowlu within the last minutes.',
  hours: 'It received a change from Flowlu within the last hours.',
  day: 'It received a change from Flowlu within about a day.',
  older: 'It has received no change from Flowlu for more than a day.',
  never: 'It has received nothing from Flowlu yet.',
};

const AWAY =
  'Its database does not answer just now. Nothing is lost: what is missed meanwhile is read from Flowlu later.';

type Mood = 'good' | 'care' | 'bad';

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
  .good { color: var(--good); } .care { color: var(--care); } .bad { color: var(--bad); }
  p { margin: .25rem 0 0; }
  footer { margin-top: 1.25rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .875rem; opacity: .8; }`;

/** Renders the page. */
export function renderAppPage(health: Health) {
  const mood = moodOf(health);
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
    ${health.needsLook && health.isThere ? html`<p>Something needs a look by whoever runs it.</p>` : ''}
    <footer>
      The mirror keeps a copy of this portal in a database of your own and never changes anything in Flowlu. What it holds is
      not shown here. Whoever runs it finds more with <code>flowlu-mirror status</code>.
    </footer>
  </main>
</body>
</html>`;
}

const HEADLINES: Readonly<Record<Mood, string>> = {
  good: 'The mirror is up to date',
  care: 'The mirror is running',
  bad: 'The mirror is out of order',
};

function moodOf({ isThere, freshness, isCompared, needsLook }: Health): Mood {
  if (!isThere) return 'bad';
  // Without the API nobody knows what was missed.
  return needsLook || !isCompared || freshness !== 'minutes' ? 'care' : 'good';
}

function sentence({ isThere, freshness, isCompared }: Health): string {
  if (!isThere) return AWAY;
  return (isCompared ? COMPARED : RECEIVED)[freshness];
}

/** A mirror and its image, in one colour that stands out in both themes. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" width="256" height="256">
<rect width="256" height="256" rx="48" fill="#2457d6"/>
<path d="M60 68h52v120H60z" fill="#fff"/>
<path d="M144 68h52v120h-52z" fill="none" stroke="#fff" stroke-width="12"/>
<path d="M128 44v168" stroke="#fff" stroke-width="8" stroke-dasharray="16 12"/>
</svg>
`;
