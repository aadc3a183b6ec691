import type { CheckText } from '../../check.js';
import type { Shown } from '../events.js';
import { linesView } from './lines.js';
import type { Opening, OpenView } from './open.js';
import { reportIn } from './reports.js';
import { tell } from './results.js';
import { regionOn } from './region.js';
import { tasksView } from './tasks.js';
import type { View } from './view.js';
import { watchView } from './watch.js';

/** For people: results on stdout, progress and errors on stderr, as tasks where the terminal can be redrawn and as lines elsewhere. */
export async function textView(opening: Opening): Promise<OpenView> {
  const { command, format, out, err, quiet, verbose, lang, watch } = opening;
  const progress = progressView(opening);
  const board = command === 'status' && watch && out.live ? regionOn(out) : undefined;
  const hints = await hintsFor(command);
  let name = '';

  const result = (event: Shown) => {
    const report = event.type === 'preflight' ? reportIn(format, name, event, hints) : undefined;
    if (report !== undefined) return out.write(report);
    const told = tell(event, { command, out, err, verbose, quiet, hints, name, lang });
    if (board && told && event.type === 'status') return board.draw(told.text.trimEnd().split('\n'));
    board?.close();
    // A report in another format is all that stdout may carry.
    if (told) (told.on === 'out' && format === 'text' ? out : err).write(told.text);
  };

  return {
    show(event) {
      name = nameIn(event) ?? name;
      if (isProgress(event) || (event.type === 'plan' && command !== 'plan')) {
        if (!quiet || event.type === 'warning') progress.show(event);
        return;
      }
      if (event.type === 'ended' || event.type === 'error') progress.close();
      result(event);
    },
    note: (text) => progress.note(text),
    pause: () => progress.close(),
    close: () => progress.close(),
  };
}

function progressView({ err, verbose, watch, lang }: Opening): View {
  if (!err.live || verbose) return linesView(err);
  return watch ? watchView(err, () => Date.now(), lang) : tasksView(err, () => Date.now(), lang);
}

/** What each check advises. Only commands that ask checks load them, and these do so anyway. */
async function hintsFor(command: string): Promise<ReadonlyMap<string, CheckText>> {
  if (!['preflight', 'run', 'shift', 'rehearse'].includes(command)) return new Map();
  const [{ checks }, { WAIVERS }] = await Promise.all([
    import('../../../checks/index.js'),
    import('../../preflight.js'),
  ]);
  return new Map([...checks, WAIVERS].map((it) => [it.id, it]));
}

const PROGRESS: ReadonlySet<string> = new Set(['started', 'step', 'share', 'gate', 'hold', 'warning']);
const isProgress = (event: Shown) => PROGRESS.has(event.type);

const nameIn = (event: Shown): string | undefined =>
  event.type === 'plan' ? event.plan.name : 'name' in event && typeof event.name === 'string' ? event.name : undefined;
