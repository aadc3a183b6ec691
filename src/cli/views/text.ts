import type { EndedEvent, EventBody, ShareEvent } from '../../events.js';
import { count, points } from '../../words.js';
import type { Screen } from '../screen.js';
import { padEnd, widthOf, wrap } from '../width.js';
import { spelt, tongues, type Tongue } from './tongue.js';

/** Texts that several views say in the same words. */

export type ErrorEvent = Extract<EventBody, { type: 'error' }>;

/** `asked 20 %, reachable 20.4 %, measured 20.4 %` */
export const shareText = (
  { asked, reachable, measured, clients }: Pick<ShareEvent, 'asked' | 'reachable' | 'measured' | 'clients'>,
  tongue = tongues.en,
) =>
  [
    `${tongue.asked} ${points(asked)} %`,
    `${tongue.reachable} ${points(reachable)} %`,
    `${tongue.measured} ${points(measured)} %`,
    ...(clients === undefined ? [] : [`${tongue.clients} ${points(clients)} %`]),
  ].join(tongue.between);

/** `12 members 240` */
export const sideText = ({ members, weight }: ShareEvent['source']) => `${count(members, 'member')}, weight ${weight}`;

export const thousands = (n: number) => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

const LABEL_ROOM = 8;

/** A warning beside a live view: whole, however long. */
export const warned = ({ what, fix = '' }: { what: string; fix?: string }, screen: Screen): string =>
  labelled('‼', `${what} ${fix}`.trimEnd(), screen, 0, 1).join('\n');

/** A name and what it stands for, the latter wrapped under itself. */
export function labelled(
  label: string,
  text: string,
  { columns }: Pick<Screen, 'columns'>,
  indent = 2,
  room = LABEL_ROOM,
): string[] {
  const head = ' '.repeat(indent) + padEnd(label, room) + ' ';
  const width = Math.max(20, columns() - widthOf(head));
  return text
    .split('\n')
    .flatMap((part) => wrap(part, width))
    .map((line, index) => (index === 0 ? head : ' '.repeat(widthOf(head))) + line);
}

/** `shop   source …  →  target …`, on two lines where one is too narrow. */
export function headline(
  name: string,
  source: string,
  target: string,
  { paint, columns }: Pick<Screen, 'paint' | 'columns'>,
): string[] {
  const first = `${paint('bold', name)}   source ${source}`;
  const second = `target ${target}`;
  const one = `${first}  ${paint('dim', '→')}  ${second}`;
  return widthOf(one) <= columns() ? [one] : [first, `${' '.repeat(widthOf(name) + 3)}${second}`];
}

/** What, why, what to do, and where it stands now. */
export function errorLines(
  { code, what, why, do: fix, now, stack }: ErrorEvent,
  screen: Screen,
  verbose = false,
  tongue = tongues.en,
): string[] {
  const { paint } = screen;
  const [first = '', ...more] = what.split('\n');
  const lines = [`${paint('red', '✖')} ${paint('bold', code)}  ${first}`, ...more.map((it) => `  ${it}`)];
  for (const [label, text] of [
    ['why', why],
    ['do', fix],
    ['now', now],
  ] as const) {
    const word = tongue.labels[label];
    if (text !== '') lines.push(...labelled(word, text, screen).map((line) => dimHead(line, word, screen)));
  }
  if (verbose && stack !== undefined) lines.push(...stack.split('\n').map((it) => paint('dim', `  ${it}`)));
  return lines;
}

const dimHead = (line: string, label: string, { paint }: Screen) => line.replace(label, paint('dim', label));

const ENDED: Record<EndedEvent['outcome'], [mark: string, colour: 'green' | 'yellow' | 'red']> = {
  done: ['✔', 'green'],
  refused: ['✖', 'red'],
  stopped: ['✖', 'red'],
  waiting: ['…', 'yellow'],
  interrupted: ['◼', 'yellow'],
  failed: ['✖', 'red'],
};

/** The last lines: what came of it in figures, the share, who serves, what comes next, and how to go back. */
export function endedLines(
  name: string,
  command: string,
  event: EndedEvent,
  screen: Screen,
  tongue = tongues.en,
): string[] {
  const { paint } = screen;
  const [mark, colour] = ENDED[event.outcome];
  const word = tongue.outcome[event.outcome];
  const { requests, share, tookMs, virtualMs, calls, same, seed } = event;
  const took = [
    tookMs !== undefined &&
      `${spelt(tookMs, tongue)}${virtualMs === undefined ? '' : `${tongue.comma}${tongue.virtual(spelt(virtualMs, tongue))}`}`,
    calls && tongue.calls(calls.reads, calls.writes),
    seed !== undefined && tongue.seed(seed),
  ].filter(Boolean);
  const lines = [
    `${paint(colour, mark)} ${paint('bold', `${command}${name === '' ? '' : ` ${name}`}: ${word}`)}${took.length > 0 ? `   ${paint('dim', took.join(' · '))}` : ''}`,
  ];
  const say = (label: keyof Tongue['labels'], text: string | undefined) => {
    const shown = tongue.labels[label];
    if (text) lines.push(...labelled(shown, text, screen).map((line) => dimHead(line, shown, screen)));
  };
  if (requests && requests.sent > 0) say('requests', requestsText(requests, tongue));
  // All the way back it is the one of before.
  if (share && !same) say('share', shareText(share, tongue));
  if (same) say('world', tongue.sameWorld);
  // An error has said it already.
  if (event.outcome === 'done' || event.outcome === 'interrupted') say('now', event.serving);
  say('saved', event.output);
  say('next', event.next);
  say('back', event.back);
  return lines;
}

const requestsText = (
  { sent, failed, source, target, longestPauseMs }: NonNullable<EndedEvent['requests']>,
  tongue: Tongue,
) =>
  tongue.served({
    sent: thousands(sent),
    failed: thousands(failed),
    source: thousands(source),
    target: thousands(target),
    pause: spelt(longestPauseMs, tongue),
  });

/** Where a run of lines says no more than the one before it. */
export const join = (lines: readonly string[]) => `${lines.join('\n')}\n`;
