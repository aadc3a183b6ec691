/** Columns that text takes on a terminal: Chinese, Japanese and Korean characters and most pictures take two, marks none. */

/**
 * First and last code point of the ranges that are Wide or Fullwidth, neighbours joined.
 * @source Unicode 16, EastAsianWidth.txt
 */
const WIDE: readonly [number, number][] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x23e9, 0x23ec],
  [0x25fd, 0x25fe],
  [0x2614, 0x2615],
  [0x2648, 0x2653],
  [0x26a1, 0x26a1],
  [0x2705, 0x2705],
  [0x274c, 0x274c],
  [0x2753, 0x2755],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6b],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
];

const UNSEEN = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]$/u;
// oxlint-disable-next-line no-control-regex
const ESCAPE = /\u001b\[[0-9;?]*[A-Za-z]/g;

function columnsOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code >= 0x20 && code < 0x7f) return 1;
  if (UNSEEN.test(character)) return 0;
  return code >= 0x1100 && WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
}

export const widthOf = (text: string): number =>
  [...text.replace(ESCAPE, '')].reduce((sum, it) => sum + columnsOf(it), 0);

export const padEnd = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - widthOf(text)));

/** Cut to the width, with `…` where something is missing. The text must be plain. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let [kept, used] = ['', 0];
  for (const character of text) {
    used += columnsOf(character);
    if (used > width - 1) break;
    kept += character;
  }
  return width <= 0 ? '' : `${kept}…`;
}

/** Broken into lines at spaces, or anywhere between wide characters and inside words longer than a line. The text must be plain. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const piece of piecesOf(text)) {
    if (widthOf(line + piece.trimEnd()) <= width) {
      line += piece;
      continue;
    }
    if (line.trim() !== '') lines.push(line.trimEnd());
    line = piece;
    while (widthOf(line) > width && widthOf(line.trimEnd()) > width) {
      const head = headOf(line, width);
      lines.push(head);
      line = line.slice(head.length);
    }
  }
  return [...lines, line.trimEnd()];
}

/** Marks that end a clause in Chinese: none begins a line. */
const CLOSING = /[，。；：、！？）」』》]/;

/** Words with the spaces behind them; each wide character is a word of its own, with the mark that closes it. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let word = '';
  for (const character of text) {
    if (CLOSING.test(character)) {
      const before = word === '' ? pieces.pop() : word;
      pieces.push(`${before ?? ''}${character}`);
      word = '';
      continue;
    }
    if (word !== '' && (columnsOf(character) === 2 || (/\s$/.test(word) && character !== ' '))) {
      pieces.push(word);
      word = '';
    }
    word += character;
    if (columnsOf(character) === 2) {
      pieces.push(word);
      word = '';
    }
  }
  return word === '' ? pieces : [...pieces, word];
}

function headOf(text: string, width: number): string {
  let [head, used] = ['', 0];
  for (const character of text) {
    used += columnsOf(character);
    if (head !== '' && used > width) break;
    head += character;
  }
  return head;
}
