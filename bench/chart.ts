/** The result as a picture: a bar for each side of each measure. Plain SVG, written by hand. */
import type { Measure } from './measure.ts';
import { figure } from './report.ts';

const WIDTH = 860;
const LABEL_WIDTH = 250;
const BAR_HEIGHT = 17;
const BAR_GAP = 3;
const GROUP_GAP = 16;
const BAR_MAX = WIDTH - LABEL_WIDTH - 190;
const COLOURS = { ours: '#1f6feb', other: '#9aa4b2' } as const;

interface Bars {
  readonly title: string;
  readonly bars: readonly { readonly label: string; readonly value: number; readonly isOurs: boolean }[];
}

/** Draws the measures that have somebody to be compared with, one panel per unit. */
export function chartOf(measures: readonly Measure[], subtitle: string): string {
  const panels = ['events/s', 'ms', 'rows/s'].flatMap((unit) => {
    const groups = groupsOf(measures.filter((measure) => measure.unit === unit && measure.reference !== null));
    return groups.length === 0 ? [] : [{ unit, groups }];
  });
  let y = 64;
  const parts: string[] = [];
  for (const { unit, groups } of panels) {
    const most = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)));
    parts.push(text(16, y, unit, 'bold'));
    y += 22;
    for (const group of groups) {
      parts.push(text(16, y + 13, group.title));
      for (const bar of group.bars) {
        parts.push(...drawBar(bar, y, most));
        y += BAR_HEIGHT + BAR_GAP;
      }
      y += GROUP_GAP;
    }
    y += 12;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    text(16, 26, 'flowlu-mirror beside its peer and the limits of PostgreSQL', 'bold'),
    text(16, 44, subtitle),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** Measures of one name share their bar of ours. */
function groupsOf(measures: readonly Measure[]): readonly Bars[] {
  const groups = new Map<string, Measure[]>();
  for (const measure of measures) groups.set(measure.name, [...(groups.get(measure.name) ?? []), measure]);
  return [...groups].map(([title, all]) => ({
    title,
    bars: [
      { label: 'flowlu-mirror', value: all[0]?.ours ?? 0, isOurs: true },
      ...all.flatMap(({ reference }) =>
        reference === null ? [] : [{ label: reference.name, value: reference.value, isOurs: false }],
      ),
    ],
  }));
}

function drawBar({ label, value, isOurs }: Bars['bars'][number], y: number, most: number): readonly string[] {
  const width = Math.max(1, Math.round((value / most) * BAR_MAX));
  const colour = isOurs ? COLOURS.ours : COLOURS.other;
  return [
    `<rect x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT}" rx="2" fill="${colour}"/>`,
    text(LABEL_WIDTH + width + 6, y + 13, `${figure(value)}  ${label}`),
  ];
}

function text(x: number, y: number, content: string, weight = 'normal'): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${x}" y="${y}" font-weight="${weight}" fill="#24292f">${escaped}</text>`;
}
