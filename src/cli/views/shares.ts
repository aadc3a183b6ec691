import type { GateEvidence } from '../../events.js';
import { points } from '../../words.js';
import type { Screen } from '../screen.js';
import { padEnd, widthOf, wrap } from '../width.js';
import { thousands } from './text.js';
import { spelled, type Tongue } from './tongue.js';

/** One share under way, as a live view shows it: what is asked and measured, who is served where, what the gates say, what comes. */
export interface ShareNow {
  step: string;
  title: string;
  undoing?: boolean;
  share?: {
    service: string;
    asked: number;
    reachable: number;
    measured: number | null;
    source: { members: number; weight: number };
    target: { members: number; weight: number };
  };
  hold?: { elapsedMs: number; holdMs: number; leastMs?: number; next?: number; back?: number };
  gates: { gate: string; state: 'pass' | 'fail' | 'wait'; why: string; evidence?: GateEvidence }[];
}

const GATE = { pass: ['✔', 'green'], fail: ['✖', 'red'], wait: ['…', 'yellow'] } as const;

/**
 * @param screen  as wide as it is, down to 80 columns; nothing here is wider
 * @param ours    this process moves it: Ctrl-C stops that
 */
export function shareLines(it: ShareNow, tongue: Tongue, screen: Screen, ours = true): string[] {
  const { paint } = screen;
  const { share, hold } = it;
  const head = `${paint('bold', share?.service ?? it.title)}${it.undoing ? paint('yellow', `  ${tongue.undoing}`) : ''}  ${paint('dim', it.step)}`;
  const lines = [head];
  const room = Math.max(
    ...[tongue.source, tongue.target, tongue.gates, tongue.holding, tongue.next, tongue.back].map(widthOf),
  );
  const say = (label: string, text: string) => {
    const indent = room + 4;
    const width = Math.max(20, screen.columns() - 1 - indent);
    wrap(text, width).forEach((part, index) =>
      lines.push(`  ${index === 0 ? paint('dim', padEnd(label, room)) : ' '.repeat(room)}  ${part}`),
    );
  };
  if (share) {
    const figures = [
      [tongue.asked, share.asked],
      [tongue.reachable, share.reachable],
      [tongue.measured, share.measured],
    ] as const;
    const told = figures.map(([word, value]) => `${word} ${value === null ? '?' : points(value)} %`).join('  ');
    const cells = Math.min(40, Math.max(10, screen.columns() - widthOf(told) - 8));
    lines.push(`  ${barOf(share.measured ?? 0, cells, screen)}  ${told}`);
    for (const side of ['source', 'target'] as const) {
      const asked = requestsOn(side, it);
      const seen = asked ? `  ${tongue.requests(thousands(asked.requests), thousands(asked.errors))}` : '';
      say(tongue[side], `${padEnd(tongue.members(share[side].members, share[side].weight), 24)}${seen}`);
    }
  }
  it.gates.forEach(({ gate, state, why }, index) => {
    const [mark, colour] = GATE[state];
    const width = Math.max(20, screen.columns() - 1 - room - 4 - 2);
    const label = index === 0 ? tongue.gates : '';
    wrap(`${padEnd(gate, 12)} ${why}`, width).forEach((part, line) =>
      lines.push(
        `  ${line === 0 ? paint('dim', padEnd(label, room)) : ' '.repeat(room)}  ${line === 0 ? paint(colour, mark) : ' '} ${part}`,
      ),
    );
  });
  if (hold && hold.holdMs > 0) {
    const left = Math.max(0, hold.holdMs - hold.elapsedMs);
    const early = hold.leastMs !== undefined && hold.leastMs < hold.holdMs ? tongue.untilGates : '';
    say(
      tongue.holding,
      `${tongue.held(spelled(hold.elapsedMs, tongue), spelled(hold.holdMs, tongue), spelled(left, tongue))}${early}`,
    );
    say(tongue.next, hold.next === undefined ? tongue.last : tongue.percent(points(hold.next)));
    say(
      tongue.back,
      [
        hold.back !== undefined && it.gates.length > 0 && tongue.backTo(points(hold.back)),
        tongue.allTheWay,
        ours && tongue.ctrlC,
      ]
        .filter(Boolean)
        .join(' · '),
    );
  }
  return lines;
}

/** What the gates know of one side: the first that tells sides apart. */
function requestsOn(side: 'source' | 'target', { gates }: ShareNow) {
  return gates.map((it) => it.evidence?.sides?.[side]).find((it) => it !== undefined);
}

/** `▕████░░░░▏`: never empty while somebody is served there, never full while somebody is not. */
function barOf(share: number, cells: number, { paint }: Screen): string {
  const filled =
    share <= 0 ? 0 : share >= 100 ? cells : Math.min(cells - 1, Math.max(1, Math.round((share / 100) * cells)));
  return `▕${paint('green', '█'.repeat(filled))}${paint('dim', '░'.repeat(cells - filled))}▏`;
}
