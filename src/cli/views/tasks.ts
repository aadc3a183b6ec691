import type { Shown } from '../events.js';
import type { Screen } from '../screen.js';
import { fit, padEnd, widthOf, wrap } from '../width.js';
import { points } from '../../words.js';
import { shareText, warned } from './text.js';
import { spelt, tongues, type Lang, type Tongue } from './tongue.js';
import type { View } from './view.js';

/**
 * For a terminal: what is done scrolls by and stays, one line a step; under it what is under way is drawn again and again: steps, share
 * bars, gates, the hold. It only draws: nothing here decides or waits.
 */
export function tasksView(screen: Screen, now: () => number, lang: Lang = 'en'): View {
  const tongue = tongues[lang];
  const { paint } = screen;
  const open = new Map<string, Open>();
  let drawn = 0;
  let frame = 0;
  let steps = 0;
  let done = 0;
  let timer: NodeJS.Timeout | undefined;
  let due: NodeJS.Timeout | undefined;
  let lastDraw = 0;
  /** grows with the longest id, so that titles stand in one column */
  let room = 16;

  const draw = () => {
    lastDraw = now();
    const lines = [...open.values()].flatMap((it) => linesOf(it, room, screen, tongue, frame)).slice(0, 20);
    if (open.size > 0)
      lines.push(
        paint(
          'dim',
          `  ${tongue.footer(
            done,
            steps,
            [...open.values()].some((it) => it.hold),
          )}`,
        ),
      );
    const width = Math.max(20, screen.columns() - 1);
    screen.write(erase(drawn) + lines.map((it) => `${clip(it, width)}\n`).join(''));
    drawn = lines.length;
  };
  const soon = () => {
    // Events come by the hundred in a rehearsal; a terminal needs a dozen pictures a second.
    due ??= setTimeout(
      () => {
        due = undefined;
        draw();
      },
      Math.max(0, 70 - (now() - lastDraw)),
    );
  };
  const keep = (line: string) => {
    screen.write(erase(drawn));
    drawn = 0;
    screen.write(`${line}\n`);
    soon();
  };
  const start = () => {
    if (timer) return;
    screen.write('\u001b[?25l');
    timer = setInterval(() => {
      frame++;
      draw();
    }, 120);
    timer.unref();
  };

  return {
    show(event) {
      if (event.type === 'started') {
        steps = event.steps;
        start();
        keep(
          `${paint('bold', `${event.command} ${event.name}`)}   ${event.source} ${paint('dim', '→')} ${event.target}   ${paint('dim', `${event.resumed ? tongue.resumed : ''}${tongue.stepCount(event.steps)}`)}\n`,
        );
        return;
      }
      if (event.type === 'plan') {
        room = Math.max(room, ...event.rows.map((it) => it.step.length));
        return;
      }
      if (event.type === 'warning') return keep(warned(event, screen));
      if (!('step' in event)) return;
      const id = event.step;
      room = Math.max(room, id.length);
      const task = open.get(id) ?? { id, title: id, began: event.at, gates: new Map<string, Gate>() };
      if (!keepsUp(task, event)) return;
      open.set(id, task);
      if (event.type === 'step' && ENDED.has(event.state)) {
        open.delete(id);
        done++;
        keep(ending(task, event, room, screen, tongue));
        return;
      }
      start();
      soon();
    },
    note: (text) =>
      keep(
        wrap(text, Math.min(screen.columns(), 110) - 1)
          .map((it) => paint('dim', it))
          .join('\n'),
      ),
    close() {
      clearInterval(timer);
      timer = undefined;
      clearTimeout(due);
      due = undefined;
      if (open.size > 0) draw();
      screen.write('\u001b[?25h');
    },
  };
}

interface Gate {
  state: 'pass' | 'fail' | 'wait';
  why: string;
}

type Share = Extract<Shown, { type: 'share' }>;

interface Open {
  id: string;
  title: string;
  began: string;
  undoing?: boolean;
  note?: string;
  share?: Share;
  hold?: Extract<Shown, { type: 'hold' }>;
  gates: Map<string, Gate>;
}

const ENDED: ReadonlySet<string> = new Set(['done', 'failed', 'waiting', 'undone', 'skipped']);
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

const erase = (lines: number) => (lines === 0 ? '' : `\u001b[${lines}A\r\u001b[J`);

/** False for what says nothing of a step. */
function keepsUp(task: Open, event: Shown): boolean {
  switch (event.type) {
    case 'step':
      task.title = event.title;
      if (event.state === 'undoing') task.undoing = true;
      if (event.note === undefined) delete task.note;
      else task.note = event.note;
      return true;
    case 'share':
      task.share = event;
      return true;
    case 'hold':
      task.hold = event;
      return true;
    case 'gate':
      task.gates.set(event.gate, event);
      return true;
    default:
      return false;
  }
}

function linesOf(task: Open, room: number, screen: Screen, tongue: Tongue, frame: number): string[] {
  const { paint } = screen;
  const lines = [
    `${paint('cyan', FRAMES[frame % FRAMES.length] ?? '')} ${padEnd(task.id, room)} ${task.undoing ? `${tongue.undoing}: ` : ''}${task.title}${task.note === undefined ? '' : paint('dim', `  ${task.note}`)}`,
  ];
  if (task.share)
    lines.push(
      `  ${bar(task.share.measured, screen)}  ${shareText(task.share, tongue)}`,
      paint('dim', `  ${sideOf('source', task.share, tongue)} · ${sideOf('target', task.share, tongue)}`),
    );
  if (task.gates.size > 0)
    lines.push(
      `  ${padEnd(tongue.gates, 8)} ${[...task.gates].map(([name, gate]) => gateText(name, gate, screen, tongue)).join('   ')}`,
    );
  if (task.hold && task.hold.holdMs > 0)
    lines.push(
      `  ${padEnd(tongue.holding, 8)} ${tongue.heldOf(spelt(task.hold.elapsedMs, tongue), spelt(task.hold.holdMs, tongue))}`,
    );
  return lines;
}

const GATE = { pass: ['✔', 'green'], fail: ['✖', 'red'], wait: ['…', 'yellow'] } as const;

const sideOf = (side: 'source' | 'target', { [side]: { members, weight } }: Share, tongue: Tongue) =>
  `${tongue[side]} ${tongue.members(members, weight)}`;

function gateText(name: string, { state, why }: Gate, { paint }: Screen, { broke }: Tongue): string {
  const [mark, colour] = GATE[state];
  return `${paint(colour, mark)} ${name}${state === 'fail' ? broke : ''} ${why}`;
}

/** `▕████░░░░▏ 20 %`: the target's share */
export function bar(share: number, { columns, paint }: Pick<Screen, 'columns' | 'paint'>): string {
  const cells = Math.min(30, Math.max(10, columns() - 70));
  // Never empty while somebody is served there, never full while somebody is not.
  const filled =
    share <= 0 ? 0 : share >= 100 ? cells : Math.min(cells - 1, Math.max(1, Math.round((share / 100) * cells)));
  return `▕${paint('green', '█'.repeat(filled))}${paint('dim', '░'.repeat(cells - filled))}▏ ${points(share)} %`;
}

const MARK = {
  done: ['✔', 'green'],
  undone: ['↩', 'green'],
  failed: ['✖', 'red'],
  waiting: ['…', 'yellow'],
  skipped: ['○', 'yellow'],
} as const;

function ending(
  task: Open,
  event: Extract<Shown, { type: 'step' }>,
  room: number,
  screen: Screen,
  tongue: Tongue,
): string {
  const { paint } = screen;
  const [mark, colour] = MARK[event.state as keyof typeof MARK] ?? MARK.done;
  const took = Date.parse(event.at) - Date.parse(task.began);
  const time = took >= 1000 ? spelt(took, tongue) : '';
  const word = (tongue.ends as Partial<Record<string, string>>)[event.state] ?? '';
  const said =
    task.share && event.state === 'done'
      ? shareText(task.share, tongue)
      : event.state === 'failed' || event.state === 'waiting'
        ? (event.note ?? '')
        : '';
  const width = Math.min(screen.columns(), 110) - 1;
  const hang = room + 3;
  const [title = '', ...more] = wrap(
    `${word}${event.title}`,
    Math.max(20, width - hang - (time === '' ? 0 : widthOf(time) + 2)),
  );
  const first = ended(`${paint(colour, mark)} ${padEnd(task.id, room)} ${title}`, time, width, screen);
  const lead =
    task.share && event.state === 'done' ? `${bar(task.share.measured, { ...screen, columns: () => 80 })}  ` : '';
  const indent = hang + widthOf(lead);
  const below = said === '' ? [] : wrap(said, Math.max(20, width - indent));
  return [
    first,
    ...more.map((it) => `${' '.repeat(hang)}${it}`),
    ...below.map(
      (it, index) => `${index === 0 ? `${' '.repeat(hang)}${lead}` : ' '.repeat(indent)}${paint('dim', it)}`,
    ),
  ].join('\n');
}

/** With the time at the right edge. */
function ended(line: string, time: string, width: number, { paint }: Screen): string {
  if (time === '') return line;
  return `${line}${' '.repeat(Math.max(2, width - widthOf(line) - widthOf(time)))}${paint('dim', time)}`;
}

/** Cuts a painted line: colours are closed behind the cut. */
function clip(line: string, width: number): string {
  if (widthOf(line) <= width) return line;
  // oxlint-disable-next-line no-control-regex
  return fit(line.replace(/\u001b\[[0-9;]*m/g, ''), width);
}
