import type { CheckText } from '../../check.js';
import { count, points } from '../../words.js';
import type {
  DoctorEvent,
  ExplainableEvent,
  ExplainedEvent,
  Shown,
  StatusEvent,
  TwinEvent,
  ValidEvent,
} from '../events.js';
import type { Screen } from '../screen.js';
import { padEnd, widthOf } from '../width.js';
import { planLines } from './plan.js';
import { previewLines } from './preview.js';
import { countsText, preflightLines } from './preflight.js';
import { shareLines } from './shares.js';
import { bar } from './tasks.js';
import { endedLines, errorLines, join, labelled } from './text.js';
import { spelt, tongues, type Lang, type Tongue } from './tongue.js';

/** What a command came to, for people: stdout but for errors. `undefined` for events that are progress. */
export interface Told {
  on: 'out' | 'err';
  text: string;
}

export interface Telling {
  command: string;
  out: Screen;
  err: Screen;
  verbose: boolean;
  quiet: boolean;
  /** the checks' texts, for what to do; loaded with the report */
  hints: ReadonlyMap<string, CheckText>;
  /** the playbook's name, once it is known */
  name: string;
  lang: Lang;
}

export function tell(
  event: Shown,
  { command, out, err, verbose, quiet, hints, name, lang }: Telling,
): Told | undefined {
  const result = (lines: string[]): Told => ({ on: 'out', text: join(lines) });
  switch (event.type) {
    case 'preflight':
      if (command === 'preflight') return result(preflightLines(name, event, hints, out));
      if (!event.report.ready) return { on: 'err', text: join(preflightLines(name, event, hints, err)) };
      return quiet ? undefined : { on: 'err', text: `preflight: ${countsText(event.report)}\n` };
    case 'plan':
      return result(planLines(event, out));
    case 'preview':
      return result(previewLines(event, out));
    case 'valid':
      return result(validLines(event, out));
    case 'explained':
      return result(explainedLines(event, out));
    case 'explainable':
      return result(explainableLines(event, out));
    case 'status':
      return result(statusLines(event, out, tongues[lang]));
    case 'doctor':
      return result(doctorLines(event, out));
    case 'twin':
      return result(twinLines(event, out));
    case 'written':
      return result([`${out.paint('green', '✔')} ${event.what}: ${event.file}`]);
    case 'error':
      return { on: 'err', text: join(errorLines(event, err, verbose, tongues[lang])) };
    case 'ended':
      return ended(event, command, name, out, tongues[lang]);
    default:
      return undefined;
  }
}

/** Commands whose result says all there is to say: only what comes next is left. */
const TELLING = new Set(['explain', 'completion', 'validate', 'preflight', 'status', 'doctor', 'twin', 'init']);

function ended(
  event: Extract<Shown, { type: 'ended' }>,
  command: string,
  name: string,
  out: Screen,
  tongue: Tongue,
): Told | undefined {
  const { next, back, outcome } = event;
  const { labels } = tongue;
  const room = Math.max(widthOf(labels.next), widthOf(labels.back));
  const ways = [
    ...(next ? labelled(labels.next, next, out, 0, room) : []),
    ...(back ? labelled(labels.back, back, out, 0, room) : []),
  ];
  // An error has said what happened and what to do.
  const short = TELLING.has(command) || outcome === 'refused' || outcome === 'waiting';
  if (!short) return { on: 'out', text: join(endedLines(name, command, event, out, tongue)) };
  return ways.length === 0 ? undefined : { on: 'out', text: join(ways) };
}

function validLines({ file, source, target, namespaces, services, steps }: ValidEvent, screen: Screen): string[] {
  const parts = [
    namespaces.length > 0 && `data of ${namespaces.join(', ')}`,
    services.length > 0 && `traffic of ${services.join(', ')} by ${steps.map(points).join(', ')} %`,
  ].filter(Boolean);
  return [`${screen.paint('green', '✔')} ${file}: ${source} → ${target}; ${parts.join('; ')}`];
}

const WORDS = {
  en: { asks: 'asks', outcome: 'comes to', why: 'why', how: 'found by', do: 'do', sources: 'source' },
  zh: { asks: '问题', outcome: '结果', why: '原因', how: '依据', do: '处理', sources: '出处' },
};

function explainedLines(event: ExplainedEvent, screen: Screen): string[] {
  const words = WORDS[event.lang];
  const say = (label: string, text: string | undefined) =>
    text === undefined || text === ''
      ? []
      : labelled(label, text, screen, 2, 9).map((line, index) =>
          index === 0 ? line.replace(label, screen.paint('dim', label)) : line,
        );
  return [
    screen.paint('bold', event.code),
    ...say(words.asks, event.asks),
    ...say(words.outcome, event.outcome),
    ...say(words.why, event.why),
    ...say(words.how, event.how),
    ...say(words.do, event.do),
    // Whole, however long: to be clicked or copied.
    ...event.sources.map(
      (it, index) => `  ${index === 0 ? padEnd(screen.paint('dim', words.sources), 9) : ' '.repeat(9)} ${it}`,
    ),
  ];
}

function explainableLines({ checks, errors }: ExplainableEvent, screen: Screen): string[] {
  const { paint } = screen;
  const row = (code: string, text: string, room: number) =>
    labelled(code, text, screen, 2, room).map((line, index) =>
      index === 0 ? line.replace(code, paint('bold', code)) : line,
    );
  return [
    'Checks',
    ...checks.flatMap((it) => row(it.code, it.asks, 22)),
    '',
    'Errors',
    ...errors.flatMap((it) => row(it.code, it.means, 22)),
  ];
}

function statusLines(event: StatusEvent, screen: Screen, tongue: Tongue): string[] {
  const { paint } = screen;
  const lines = [
    `${paint('bold', event.name)}   ${tongue.state[event.state]}   ${paint('dim', tongue.steps(event.done, event.steps))}`,
  ];
  for (const { service, where, target, why } of event.shares) {
    lines.push(
      target === null
        ? `${service}  ${tongue.unknownShare} ${why ?? ''}`
        : `${padEnd(service, 20)} ${bar(target, screen)} ${tongue.onTarget}  ${paint('dim', where)}`,
    );
  }
  const room = Math.max(0, ...event.open.map((it) => it.step.length));
  for (const it of event.open) {
    lines.push(
      `${it.failure ? paint('red', '✖') : paint('cyan', '…')} ${padEnd(it.step, room)}  ${tongue.since(it.state, `${it.since.slice(0, 19)}Z`)}${it.failure ? `: ${it.failure.code} ${it.failure.what}` : ''}`,
    );
  }
  for (const debt of event.debts) lines.push(...labelled(tongue.owed, debt, screen, 0));
  for (const it of event.watching ?? []) lines.push('', ...shareLines(it, tongue, screen, false));
  if (event.waiting !== undefined) lines.push(...labelled(tongue.waits, event.waiting, screen, 0));
  if (event.lock) {
    const { owner, pid, host, ageMs } = event.lock;
    lines.push(tongue.lock(owner, pid, host, spelt(ageMs, tongue)));
  }
  return lines;
}

const LOOKED = {
  'as recorded': ['✔', 'green'],
  differs: ['✖', 'red'],
  'half done': ['‼', 'yellow'],
  unknown: ['?', 'red'],
} as const;

function doctorLines(event: DoctorEvent, screen: Screen): string[] {
  const { paint } = screen;
  const lines = [
    `${paint('bold', event.name)}   ${event.looked.length === 0 ? 'the journal has no step to compare' : `${count(event.looked.length, 'step')} of the journal compared with the world`}`,
  ];
  const room = Math.max(0, ...event.looked.map((it) => it.step.length));
  for (const it of event.looked) {
    const [mark, colour] = LOOKED[it.world];
    lines.push(`${paint(colour, mark)} ${padEnd(it.step, room)}  ${padEnd(it.journal, 8)}  ${it.world}`);
    if (it.why !== undefined) lines.push(...labelled('', it.why, screen, 2, room + 1));
  }
  for (const debt of event.debts) lines.push(...labelled('owed', debt, screen, 0));
  lines.push(
    event.sound ? paint('green', 'Journal and world agree.') : paint('yellow', 'Journal and world do not agree.'),
  );
  return lines;
}

function twinLines({ kubeconfig, contexts, environment }: TwinEvent, screen: Screen): string[] {
  return [
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${value}`),
    screen.paint('dim', `# contexts ${contexts.source} and ${contexts.target} in ${kubeconfig}; Ctrl-C ends the twin`),
  ];
}
