import type { EventBody } from '../../events.js';
import type { CheckText } from '../../check.js';
import type { CheckResult, JudgedFinding, Outcome, Report } from '../../preflight.js';
import { count, spell } from '../../words.js';
import type { Colour, Screen } from '../screen.js';
import { padEnd, widthOf } from '../width.js';
import { headline, labelled } from './text.js';

export type PreflightEvent = Extract<EventBody, { type: 'preflight' }>;

export const GROUPS: Record<CheckText['group'], string> = {
  access: 'Access',
  apis: 'APIs and versions',
  admission: 'Admission',
  labels: 'Labels and nodes',
  scheduling: 'Scheduling and room',
  runtime: 'Runtime and nodes',
  'load-balancing': 'Load balancing',
  network: 'Network and names',
  storage: 'Storage',
  identity: 'Identity',
  images: 'Images',
  cloud: 'Cloud',
  workloads: 'Workloads',
};

export const MARKS: Record<Outcome, [mark: string, colour: Colour]> = {
  pass: ['✔', 'green'],
  warn: ['‼', 'yellow'],
  refuse: ['✖', 'red'],
  unknown: ['?', 'red'],
  skipped: ['–', 'dim'],
  waived: ['○', 'yellow'],
};

/** How many findings of one check are shown; the rest is counted, and whole in the other formats. */
const SHOWN = 8;
const ID_ROOM = 21;

/** Grouped, quiet where all is well, evidence and remedy where it isn't. */
export function preflightLines(
  name: string,
  event: PreflightEvent,
  hints: ReadonlyMap<string, CheckText>,
  screen: Screen,
): string[] {
  const { paint, columns } = screen;
  const { report, source, target } = event;
  const side = (it: PreflightEvent['source']) => `${it.context} (${it.version}, ${count(it.nodes, 'node')})`;
  const lines = [...headline(name, side(source), side(target), screen), ''];

  for (const [group, title] of Object.entries(GROUPS)) {
    const results = report.results.filter((it) => it.group === group);
    if (results.length === 0) continue;
    const loud = results.filter((it) => it.outcome !== 'pass' && it.outcome !== 'skipped');
    const skipped = results.filter((it) => it.outcome === 'skipped');
    const mark = loud.length > 0 ? ' ' : skipped.length === results.length ? paint('dim', '–') : paint('green', '✔');
    const counts = count(results.length, 'check') + (skipped.length > 0 ? `, ${skipped.length} skipped` : '');
    lines.push(
      `${mark} ${paint('bold', padEnd(title, Math.min(columns(), 100) - 4 - counts.length))} ${paint('dim', counts)}`,
    );
    for (const result of loud) lines.push(...resultLines(result, hints.get(result.check), screen));
  }
  return [
    ...lines,
    '',
    ...diffLines(event, screen),
    ...countsLines(report, event, screen),
    ...readyLines(report, screen),
  ];
}

function resultLines(result: CheckResult, text: CheckText | undefined, screen: Screen): string[] {
  if (result.outcome === 'unknown') {
    return [
      ...headed(result.check, 'unknown', `could not be answered: ${result.why ?? ''}`, screen),
      ...(result.bug === undefined
        ? []
        : ['      this is a fault of the check itself: please report it, with the output of -o json']),
    ];
  }
  const shown = result.findings.slice(0, SHOWN);
  const does = shown.map((it) => (it.waivedBy ? undefined : (it.fix ?? text?.hint.fix)));
  // What is to be done for several is said below the last of them.
  const lines = shown.flatMap((finding, index) =>
    findingLines(result, finding, does[index] === does[index + 1] ? undefined : does[index], screen),
  );
  const left = result.findings.length - shown.length;
  return left > 0
    ? [...lines, screen.paint('dim', `${' '.repeat(ID_ROOM + 4)}and ${left} more; -o json has them all`)]
    : lines;
}

/** The mark alone would say nothing to who can't tell it apart, or hears the screen. */
const SEVERITY = { refuse: 'refuses', warn: 'warning' };

function findingLines(
  { check }: CheckResult,
  finding: JudgedFinding,
  does: string | undefined,
  screen: Screen,
): string[] {
  const { waivedBy } = finding;
  // What is waived was read before: one line.
  if (waivedBy)
    return headed(
      check,
      'waived',
      `${finding.about}: waived by ${waivedBy.owner} until ${waivedBy.until} (${waivedBy.because})`,
      screen,
    );
  return [
    ...headed(check, finding.severity, `${finding.about} · ${SEVERITY[finding.severity]}`, screen),
    ...detail('seen', finding.saw, screen),
    ...detail('wanted', finding.want, screen),
    ...detail('breaks', finding.breaks, screen),
    ...detail('do', does, screen),
  ];
}

function headed(check: string, outcome: Outcome, about: string, screen: Screen): string[] {
  const [mark, colour] = MARKS[outcome];
  const [first = '', ...more] = labelled('', about, screen, 0, ID_ROOM + 3);
  return [`  ${screen.paint(colour, mark)} ${padEnd(check, ID_ROOM)}${first.slice(ID_ROOM + 4)}`, ...more];
}

function detail(label: string, text: string | undefined, screen: Screen): string[] {
  if (text === undefined || text === '') return [];
  const indent = ID_ROOM + 4;
  return labelled(label, text, screen, indent, 6).map((line, index) =>
    index === 0 ? line.replace(label, screen.paint('dim', label)) : line,
  );
}

export const countsText = ({ counts }: Report): string =>
  (
    [
      ['pass', 'passed'],
      ['refuse', 'refused'],
      ['warn', counts.warn === 1 ? 'warning' : 'warnings'],
      ['unknown', 'unknown'],
      ['waived', 'waived'],
      ['skipped', 'skipped'],
    ] as const
  )
    .filter(([outcome]) => outcome === 'pass' || counts[outcome] > 0)
    .map(([outcome, word]) => `${counts[outcome]} ${word}`)
    .join(' · ');

function countsLines(
  report: Report,
  { tookMs, calls, wrote = 0 }: PreflightEvent,
  { paint, columns }: Screen,
): string[] {
  const counts = countsText(report);
  const cost =
    calls > 0
      ? `${spell(tookMs)}, ${count(calls, 'request')}, ${wrote > 0 ? `${wrote} more made and removed the probe` : 'read only'}`
      : 'from a captured inventory';
  const gap = Math.min(columns(), 100) - widthOf(counts) - widthOf(cost);
  if (gap < 3) return [paint('bold', counts), paint('dim', cost)];
  return [`${paint('bold', counts)}${' '.repeat(gap)}${paint('dim', cost)}`];
}

/** What is new and what is gone since the report of `--diff`. */
function diffLines({ diff, leftOut }: PreflightEvent, { paint }: Screen): string[] {
  const told = (mark: string, colour: Colour, lines: NonNullable<typeof diff>['fresh']) =>
    lines.map((it) => `${paint(colour, mark)} ${it.check}  ${it.about} ${paint('dim', `(${it.severity})`)}`);
  const left = leftOut
    ? [paint('dim', `${count(leftOut, 'check')} not asked (--only, --skip): nothing is said of what they would find.`)]
    : [];
  if (!diff) return left;
  const head = `since the last report: ${diff.fresh.length} new, ${diff.gone.length} gone`;
  return [...left, paint('bold', head), ...told('+', 'red', diff.fresh), ...told('-', 'green', diff.gone), ''];
}

function readyLines({ ready, results }: Report, { paint }: Screen): string[] {
  if (ready) return [paint('green', 'Ready.')];
  const bad = results.filter((it) => it.outcome === 'refuse' || it.outcome === 'unknown').map((it) => it.check);
  return [`${paint('red', 'Not ready:')} ${bad.join(', ')}.`];
}
