import type { EventBody } from '../../events.js';
import type { FieldChange } from '../../modifiers.js';
import type { Action, PreviewRow } from '../../preview.js';
import { count } from '../../words.js';
import type { Screen } from '../screen.js';
import { labelled } from './text.js';

export type PreviewEvent = Extract<EventBody, { type: 'preview' }>;

const SIGNS: Record<Action, { sign: string; color: 'green' | 'yellow' | 'red' | 'dim' }> = {
  create: { sign: '+', color: 'green' },
  change: { sign: '~', color: 'yellow' },
  skip: { sign: '=', color: 'dim' },
  refuse: { sign: '✖', color: 'red' },
  unknown: { sign: '?', color: 'yellow' },
};

/** What stops the move first, then what changes on the way, then what only comes along. */
const ORDER: readonly Action[] = ['refuse', 'unknown', 'change', 'create', 'skip'];

export function previewLines({ preview: { rows, counts } }: PreviewEvent, screen: Screen): string[] {
  const { paint } = screen;
  const lines = ['', paint('bold', `preview of ${count(rows.length, 'object')}`)];
  for (const action of ORDER) {
    for (const row of rows.filter((it) => it.action === action)) lines.push(...rowLines(row, screen));
  }
  lines.push(
    ORDER.toReversed()
      .filter((it) => counts[it] > 0)
      .map((it) => `${counts[it]} ${it}`)
      .join(' · '),
  );
  return lines;
}

function rowLines({ about, to, action, changes = [], reason, why }: PreviewRow, screen: Screen): string[] {
  const { sign, color } = SIGNS[action];
  const head = `${screen.paint(color, sign)} ${action.padEnd(7)} ${about}${to === undefined ? '' : ` (${to})`}`;
  const said = [reason, why].filter(Boolean).join(': ');
  return [
    head,
    ...(said === '' ? [] : labelled('why', said, screen, 10, 4)),
    ...changes.flatMap((it) => labelled('~', changeText(it), screen, 10, 2)),
  ];
}

const changeText = ({ path, from, to, by }: FieldChange) =>
  `${path}: ${from === undefined ? '(none)' : short(from)} → ${to === undefined ? '(gone)' : short(to)}, by ${by}`;

const short = (value: unknown) => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
};
