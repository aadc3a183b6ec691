import type { EventBody, PlanRow } from '../../events.js';
import { points } from '../../words.js';
import type { Screen } from '../screen.js';
import { padEnd, widthOf, wrap } from '../width.js';
import { headline, labelled } from './text.js';

export type PlanEvent = Extract<EventBody, { type: 'plan' }>;

/** Ordered, every step with its way back, and the line that can't be crossed back. */
export function planLines({ plan, rows }: PlanEvent, screen: Screen): string[] {
  const { paint, columns } = screen;
  const { source, target } = plan.pins;
  const widths = widthsFor(rows, Math.min(columns(), 140));
  const lines = [
    ...headline(plan.name, `${source.context} (${source.version})`, `${target.context} (${target.version})`, screen),
    '',
    paint('dim', row(['#', 'step', 'does', 'way back'], widths).join('\n')),
  ];
  rows.forEach((it, index) => {
    if (it.phase === 'complete' && rows[index - 1]?.phase !== 'complete') {
      const marked = rows.some((one) => one.noReturn !== undefined && one.phase !== 'complete');
      const undone = marked ? 'what is above can be undone, as said at ⚑' : 'every step above can be undone';
      lines.push(paint('yellow', rule(`⚑ migrate complete, when you like: ${undone}`, widths)));
    }
    if (it.noReturn !== undefined)
      lines.push(
        ...wrap(`⚑ point of no return: ${it.noReturn}`, columnsOf(widths)).map((line) => paint('yellow', line)),
      );
    lines.push(...row([String(index + 1), it.step, doesOf(it), it.wayBack], widths));
  });
  lines.push('');
  for (const note of plan.notes) lines.push(...labelled('‼', note, screen, 0, 1));
  lines.push(`digest ${plan.digest.slice(0, 12)}…`);
  return lines;
}

const doesOf = ({ does, asked, reachable, how }: PlanRow) =>
  asked === undefined || reachable === undefined
    ? does
    : `${does}  → ${points(reachable)} % reachable${how === undefined ? '' : ` (${how})`}`;

type Widths = [number, number, number, number];

/** The step's id keeps its width as far as it can; the two texts share the rest, two thirds for what is done. */
function widthsFor(rows: readonly PlanRow[], columns: number): Widths {
  const number = Math.max(2, String(rows.length).length);
  const step = Math.min(Math.max(4, ...rows.map((it) => widthOf(it.step))), Math.floor(columns * 0.3));
  const rest = columns - number - step - 6;
  const back = Math.min(Math.max(8, ...rows.map((it) => widthOf(it.wayBack))), Math.floor(rest * 0.38));
  return [number, step, rest - back, back];
}

function row(cells: [string, string, string, string], widths: Widths): string[] {
  const columns = cells.map((cell, index) => breakable(cell, widths[index] ?? 10));
  const height = Math.max(...columns.map((it) => it.length));
  return Array.from({ length: height }, (_, line) =>
    columns
      .map((it, index) =>
        index === 0 ? (it[line] ?? '').padStart(widths[0]) : padEnd(it[line] ?? '', widths[index] ?? 10),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** Ids of steps have no spaces: they break behind a slash. */
function breakable(cell: string, width: number): string[] {
  if (widthOf(cell) <= width || cell.includes(' ')) return wrap(cell, width);
  const lines: string[] = [];
  for (const part of cell.split(/(?<=\/)/)) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(last + part) <= width) lines[lines.length - 1] = last + part;
    else lines.push(...wrap(part, width));
  }
  return lines;
}

const columnsOf = (widths: Widths) => widths.reduce((sum, it) => sum + it, 6);

function rule(text: string, widths: Widths): string {
  const whole = columnsOf(widths);
  const label = ` ── ${text} `;
  return label + '─'.repeat(Math.max(2, whole - widthOf(label)));
}
