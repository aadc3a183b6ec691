import { wrap } from '../width.js';
import type { Shown } from '../events.js';
import type { Screen } from '../screen.js';
import { regionOn } from './region.js';
import { shareLines, type ShareNow } from './shares.js';
import { tongues, type Lang, type Tongue } from './tongue.js';
import { shareText, warned } from './text.js';
import type { View } from './view.js';

const FRAME_MS = 500;
const LEAST_MS = 70;

/**
 * `--watch` on a terminal: every share under way with its figures, gates and what comes next, drawn again twice a second; what has ended stays
 * above. Between two events of a hold the time runs on by itself, where it is the real one.
 */
export function watchView(screen: Screen, now: () => number, lang: Lang): View {
  const tongue = tongues[lang];
  const { paint } = screen;
  const region = regionOn(screen);
  const open = new Map<string, Watched>();
  let head = '';
  let [done, steps, rehearsed] = [0, 0, false];
  let timer: NodeJS.Timeout | undefined;
  let due: NodeJS.Timeout | undefined;
  let lastDraw = 0;

  const draw = () => {
    lastDraw = now();
    const shares = [...open.values()].filter((it) => it.share ?? it.hold);
    const others = [...open.values()].filter((it) => !(it.share ?? it.hold));
    region.draw([
      `${head}   ${paint('dim', tongue.steps(done, steps))}`,
      ...shares.flatMap((it) => ['', ...shareLines(running(it, rehearsed ? undefined : now()), tongue, screen)]),
      ...(others.length > 0 ? [''] : []),
      ...others.slice(0, 5).map((it) => `${paint('cyan', '…')} ${otherText(it, tongue)}`),
      ...(others.length > 5 ? [paint('dim', `  ${tongue.more(others.length - 5)}`)] : []),
    ]);
  };
  const soon = () => {
    due ??= setTimeout(
      () => {
        due = undefined;
        draw();
      },
      Math.max(0, LEAST_MS - (now() - lastDraw)),
    );
  };
  const start = () => {
    timer ??= setInterval(draw, FRAME_MS).unref();
  };

  return {
    show(event) {
      if (event.type === 'started') {
        ({ steps } = event);
        rehearsed = event.command === 'rehearse';
        head = `${paint('bold', `${event.command} ${event.name}`)}   ${event.source} ${paint('dim', '→')} ${event.target}`;
        start();
        return soon();
      }
      if (event.type === 'warning') {
        region.keep(warned(event, screen));
        return soon();
      }
      if (!('step' in event)) return;
      const it = open.get(event.step) ?? { step: event.step, title: event.step, gates: [], heldAt: now() };
      if (!takes(it, event, now())) return;
      open.set(event.step, it);
      start();
      if (event.type === 'step' && event.state in ENDED) {
        open.delete(event.step);
        if (event.state === 'done' || event.state === 'undone') done++;
        region.keep(endedLine(it, event, screen, tongue));
      }
      soon();
    },
    note(text) {
      region.keep(
        wrap(text, Math.min(screen.columns(), 110) - 1)
          .map((it) => paint('dim', it))
          .join('\n'),
      );
      soon();
    },
    close() {
      clearInterval(timer);
      clearTimeout(due);
      // The last picture, once: it may be closed for a question, and at the end again.
      if (timer) draw();
      timer = undefined;
      due = undefined;
      region.close();
    },
  };
}

interface Watched extends ShareNow {
  note?: string;
  /** when the last event of its hold came */
  heldAt: number;
}

/** False for what says nothing of a step under way. */
function takes(it: Watched, event: Shown, now: number): boolean {
  switch (event.type) {
    case 'step':
      it.title = event.title;
      if (event.state === 'undoing') {
        it.undoing = true;
        delete it.hold;
      }
      if (event.note === undefined) delete it.note;
      else it.note = event.note;
      return true;
    case 'share':
      it.share = event;
      return true;
    case 'hold':
      it.hold = event;
      it.heldAt = now;
      return true;
    case 'gate': {
      const at = it.gates.findIndex((one) => one.gate === event.gate);
      if (at < 0) it.gates.push(event);
      else it.gates[at] = event;
      return true;
    }
    default:
      return false;
  }
}

/** With the time of its hold as it is now. */
const running = (it: Watched, now: number | undefined): ShareNow =>
  it.hold && now !== undefined
    ? { ...it, hold: { ...it.hold, elapsedMs: Math.min(it.hold.holdMs, it.hold.elapsedMs + now - it.heldAt) } }
    : it;

const otherText = (it: Watched, tongue: Tongue) =>
  `${it.step}  ${it.undoing ? `${tongue.undoing}: ` : ''}${it.title}${it.note === undefined ? '' : `  ${it.note}`}`;

const ENDED = {
  done: ['✔', 'green'],
  undone: ['↩', 'green'],
  failed: ['✖', 'red'],
  waiting: ['…', 'yellow'],
  skipped: ['○', 'yellow'],
} as const;

function endedLine(it: Watched, event: Extract<Shown, { type: 'step' }>, { paint }: Screen, tongue: Tongue): string {
  const [mark, colour] = ENDED[event.state as keyof typeof ENDED];
  const said =
    event.note ??
    (it.share && event.state === 'done' ? shareText({ ...it.share, measured: it.share.measured ?? 0 }, tongue) : '');
  return `${paint(colour, mark)} ${event.step}  ${event.title}${said === '' ? '' : paint('dim', `  ${said}`)}`;
}
