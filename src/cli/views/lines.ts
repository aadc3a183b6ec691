import type { Shown } from '../events.js';
import type { Screen } from '../screen.js';
import { count, spell } from '../../words.js';
import { shareText, sideText } from './text.js';
import type { View } from './view.js';

/**
 * For pipes, logs and CI: each line has its time and its step, and stands by itself. Steps run side by side, so a line that relied on the
 * one above it would be about another step.
 */
export function linesView(screen: Screen): View {
  /** how far each hold has been told, in quarters */
  const held = new Map<string, number>();
  const write = (at: string, step: string, text: string) => screen.write(`${at.slice(0, 19)}Z ${step} ${text}\n`);

  return {
    show(event) {
      const text = lineOf(event, held);
      if (text !== undefined) write(event.at, 'step' in event && event.step !== '' ? event.step : '-', text);
    },
    note: (text) => screen.write(`${text}\n`),
    close: () => undefined,
  };
}

function lineOf(event: Shown, held: Map<string, number>): string | undefined {
  switch (event.type) {
    case 'started':
      return `${event.resumed ? 'goes on' : 'started'}: ${event.command} ${event.name}, ${count(event.steps, 'step')}, ${event.source} → ${event.target}`;
    case 'step':
      return `${event.state}: ${event.title}${event.note === undefined ? '' : `: ${event.note}`}`;
    case 'share':
      return `share of ${event.service}: ${shareText(event)}; source ${sideText(event.source)}; target ${sideText(event.target)}`;
    case 'gate':
      // A gate that still waits says so every few seconds; its end is what counts.
      return event.state === 'wait' ? undefined : `gate ${event.gate}: ${event.state}, ${event.why}`;
    case 'hold':
      return holdLine(event, held);
    case 'warning':
      return `warning: ${event.what}${event.fix === undefined ? '' : ` ${event.fix}`}`;
    default:
      return undefined; // results, which have a view of their own
  }
}

function holdLine(
  { step, elapsedMs, holdMs }: Extract<Shown, { type: 'hold' }>,
  held: Map<string, number>,
): string | undefined {
  const quarter = holdMs === 0 ? 4 : Math.floor((elapsedMs / holdMs) * 4);
  if (quarter <= (held.get(step) ?? -1) && elapsedMs > 0) return undefined;
  held.set(step, quarter);
  return holdMs === 0 ? undefined : `held ${spell(elapsedMs)} of ${spell(holdMs)}`;
}
