/** The style of the status page and the script that updates it, both embedded in the page. */
import { createHash } from 'node:crypto';

/** Colours have a contrast of at least 4.5 on both backgrounds. */
export const STYLE = `
:root { color-scheme: light dark; --page: #f5f6f8; --card: #fff; --line: #dfe3e8; --text: #1a1e23; --muted: #555e69;
  --good: #14703a; --care: #8a5200; --bad: #b4231c; --reading: #2453c9; --bar: #5b83e6; }
@media (prefers-color-scheme: dark) {
  :root { --page: #111316; --card: #1a1d21; --line: #30353c; --text: #e7e9ec; --muted: #a2aab4;
    --good: #5fd08f; --care: #f0b95a; --bad: #ff8f87; --reading: #93b3ff; --bar: #5478d6; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
#live { max-width: 72rem; margin: 0 auto; padding: 1.25rem 1rem 4rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; color: var(--muted); margin-bottom: 1rem; }
header b { color: var(--text); } header .now { margin-left: auto; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .75rem; font-size: 1.05rem; }
p { margin: .25rem 0 0; }
a { color: inherit; }
code { font: .9em ui-monospace, monospace; padding: .15rem .45rem; border: 1px solid var(--line); border-radius: .3rem; background: var(--page); overflow-wrap: anywhere; }
.card, .hero, .finding { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.good { --c: var(--good); } .care { --c: var(--care); } .bad { --c: var(--bad); } .reading, .note { --c: var(--reading); }
.hero { display: flex; gap: 1rem; padding: 1.25rem; border-left: .4rem solid var(--c); background: color-mix(in srgb, var(--c) 7%, var(--card)); }
.hero > div { flex: 1; min-width: 0; }
.icon { flex: none; width: 2rem; height: 2rem; fill: none; stroke: var(--c); stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; }
progress { width: 100%; height: .7rem; margin-top: .75rem; accent-color: var(--c, var(--reading)); }
.finding { display: flex; gap: .75rem; padding: .75rem 1rem; margin-top: .5rem; border-left: .4rem solid var(--c); overflow-wrap: anywhere; }
.finding .icon { width: 1.25rem; height: 1.25rem; margin-top: .15rem; }
.finding > div { min-width: 0; }
ul.findings { list-style: none; margin: 0; padding: 0; } .above { margin: 0 0 .5rem; }
.muted { color: var(--muted); } .small { font-size: .875rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .5rem; margin-top: .5rem; padding: 0; list-style: none; }
.tiles li { padding: .7rem 1rem; } .tiles b { display: block; font-size: 1.2rem; font-weight: 600; } .tiles .warn b { color: var(--care); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: .5rem; }
figure { margin: 0; padding: .7rem 1rem; } figcaption { display: flex; justify-content: space-between; gap: 1rem; }
figure svg { display: block; width: 100%; height: 4.5rem; margin: .5rem 0 .25rem; }
figure .bars { stroke: var(--bar); } figure .base { stroke: var(--line); } figure .limit { stroke: var(--care); stroke-dasharray: 4 3; }
figure .axis { display: flex; justify-content: space-between; }
form { display: flex; gap: .5rem; margin-bottom: .75rem; }
input, button { font: inherit; color: inherit; padding: .4rem .7rem; border: 1px solid var(--muted); border-radius: .4rem; background: var(--card); }
input { flex: 1; min-width: 0; max-width: 24rem; }
:focus-visible { outline: 2px solid var(--reading); outline-offset: 2px; }
details + details { border-top: 1px solid var(--line); }
summary { padding: .65rem 1rem; cursor: pointer; display: flex; flex-wrap: wrap; gap: .1rem .75rem; align-items: baseline; }
summary::before { content: '▸'; color: var(--muted); } details[open] > summary::before { content: '▾'; }
summary .n { margin-left: auto; }
summary .share { flex-basis: 100%; height: .25rem; border-radius: .2rem; background: linear-gradient(to right, var(--bar) var(--w), var(--line) var(--w)); }
.inside { padding: 0 1rem .75rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; color: var(--muted); font-weight: 400; font-size: .875rem; } th[scope=row] { font-weight: 500; overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; } .n { text-align: right; white-space: nowrap; }
td .flag, .flag { color: var(--c); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; margin: 0; padding: .9rem 1rem; } dt { color: var(--muted); } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
#lost { position: fixed; inset: auto 0 0; padding: .6rem 1rem; text-align: center; background: var(--text); color: var(--page); }
@media (max-width: 40rem) {
  .wide { display: none; } h1 { font-size: 1.25rem; } .hero { padding: 1rem; gap: .75rem; } .hero .icon { width: 1.5rem; height: 1.5rem; }
  header .now { margin-left: 0; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } .tiles { grid-template-columns: 1fr 1fr; }
}`;

/** Seconds between two updates of a visible page. */
const REFRESH_S = 10;

/** Replaces the page with the next one, keeping scroll position, open details and typed text. */
export const SCRIPT = `
const lost = document.getElementById('lost');
setInterval(async () => {
  const active = document.activeElement;
  if (document.hidden || active.matches('input') || getSelection().type === 'Range') return;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(8000) });
    const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const live = next.getElementById('live');
    if (live === null) throw new Error('no page');
    for (const here of document.querySelectorAll('details')) {
      const there = next.getElementById(here.id);
      if (there) there.open = here.open;
    }
    document.getElementById('live').replaceWith(live);
    document.querySelector('link[rel=icon]').replaceWith(next.querySelector('link[rel=icon]'));
    document.title = next.title;
    if (active.id) document.getElementById(active.id)?.focus({ preventScroll: true });
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
}, ${REFRESH_S * 1_000});`;

const hash = createHash('sha256').update(SCRIPT).digest('base64');

/** What the page may do: run this script and load itself. */
export const PAGE_POLICY =
  `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-${hash}'; connect-src 'self'; ` +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
