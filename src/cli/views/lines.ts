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
  const told: Told = { held: new Map(), gates: new Map() };
  const write = (at: string, step: string, text: string) => screen.write(`${at.slice(0, 19)}Z ${step} ${text}\n`);

  return {
    show(event) {
      const text = lineOf(event, told);
      if (text !== undefined) write(event.at, 'step' in event && event.step !== '' ? event.step : '-', text);
    },
    note: (text) => screen.write(`${text}\n`),
    close: () => undefined,
  };
}

/** What was said already, and would be said again every second. */
interface Told {
  /** how far each step's hold has come, in quarters */
  held: Map<string, number>;
  /** how each gate of a step stands */
  gates: Map<string, string>;
}

function lineOf(event: Shown, told: Told): string | undefined {
  switch (event.type) {
    case 'started':
      return `${event.resumed ? 'goes on' : 'started'}: ${event.command} ${event.name}, ${count(event.steps, 'step')}, ${event.source} → ${event.target}`;
    case 'step':
      return `${event.state}: ${event.title}${event.note === undefined ? '' : `: ${event.note}`}`;
    case 'share':
      return `share of ${event.service}: ${shareText(event)}; source ${sideText(event.source)}; target ${sideText(event.target)}`;
    case 'gate':
      return gateLine(event, told);
    case 'hold':
      return holdLine(event, told);
    case 'warning':
      return `warning: ${event.what}${event.fix === undefined ? '' : ` ${event.fix}`}`;
    default:
      return undefined; // results, which have a view of their own
  }
}

/** A gate looks every few seconds; that it has passed, or no longer does, is what counts. */
function gateLine({ step, gate, state, why }: Extract<Shown, { type: 'gate' }>, { gates }: Told): string | undefined {
  const key = `${step} ${gate}`;
  const stood = gates.get(key) ?? 'wait';
  gates.set(key, state);
  if (state === stood) return undefined;
  return state === 'wait' ? `gate ${gate}: waits again, ${why}` : `gate ${gate}: ${state}, ${why}`;
}

function holdLine({ step, elapsedMs, holdMs }: Extract<Shown, { type: 'hold' }>, { held }: Told): string | undefined {
  const quarter = holdMs === 0 ? 4 : Math.floor((elapsedMs / holdMs) * 4);
  if (quarter <= (held.get(step) ?? -1) && elapsedMs > 0) return undefined;
  held.set(step, quarter);
  return holdMs === 0 ? undefined : `held ${spell(elapsedMs)} of ${spell(holdMs)}`;
}
