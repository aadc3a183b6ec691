import type { Writable } from 'node:stream';

/** Where a view draws: how wide it is, and whether it takes colour or redrawing. */
export interface Screen {
  write(text: string): void;
  columns(): number;
  /** of the terminal's window, where it says so */
  rows?(): number;
  paint: Paint;
  /** a terminal on which lines may be drawn again */
  live: boolean;
}

export type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';
export type Paint = (colour: Colour, text: string) => string;

const CODES: Record<Colour, [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

const painted: Paint = (colour, text) =>
  text === '' ? '' : `\u001b[${CODES[colour][0]}m${text}\u001b[${CODES[colour][1]}m`;
const plain: Paint = (_colour, text) => text;

/** The least that screens are made for. */
const LEAST_COLUMNS = 80;
/** Off a terminal nobody says how wide the reader's window is. */
const PIPE_COLUMNS = 100;

export interface Terminal extends Writable {
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

/**
 * NO_COLOR and --no-color switch colour off, FORCE_COLOR switches it on, else a terminal has it. A terminal without a width, or one of a
 * CI system, gets lines that stand by themselves.
 *
 * @source https://no-color.org, https://force-color.org
 */
export function screenOn(stream: Terminal, env: Record<string, string | undefined>, colour: boolean): Screen {
  const terminal = stream.isTTY === true && env['TERM'] !== 'dumb';
  const forced = env['FORCE_COLOR'];
  const coloured =
    colour &&
    !env['NO_COLOR'] &&
    (forced === undefined || forced === '' ? terminal : forced !== '0' && forced !== 'false');
  const given = Number(env['COLUMNS']);
  return {
    write: (text) => void stream.write(text),
    columns: () => (terminal && stream.columns) || (given >= 40 ? given : terminal ? LEAST_COLUMNS : PIPE_COLUMNS),
    rows: () => stream.rows ?? 24,
    paint: coloured ? painted : plain,
    live: terminal && Boolean(stream.columns) && !env['CI'],
  };
}
