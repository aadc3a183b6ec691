import type { Screen } from '../screen.js';
import { fit, widthOf } from '../width.js';

/** Lines at the end of a terminal's output that are drawn again and again; what is kept scrolls by above them. */
export interface Region {
  draw(lines: readonly string[]): void;
  /** One or more whole lines that stay. */
  keep(text: string): void;
  /** Leaves the last picture, and the cursor below it. */
  close(): void;
}

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
/** What ends every colour and weight that a Paint knows. */
const RESET = '\u001b[22m\u001b[39m';

/** More lines than the terminal has would scroll away and could not be drawn over: the last of them are left out. */
export function regionOn(screen: Screen): Region {
  let drawn = 0;
  let hidden = false;
  const erase = () => (drawn === 0 ? '' : `\u001b[${drawn}A\r\u001b[J`);

  return {
    draw(lines) {
      const width = Math.max(20, screen.columns() - 1);
      const room = Math.max(3, (screen.rows?.() ?? 24) - 1);
      const shown = lines.slice(0, room).map((it) => `${clip(it, width)}\n`);
      screen.write(`${hidden ? '' : HIDE_CURSOR}${erase()}${shown.join('')}`);
      hidden = true;
      drawn = shown.length;
    },
    keep(text) {
      screen.write(`${erase()}${text}\n`);
      drawn = 0;
    },
    close() {
      if (hidden) screen.write(SHOW_CURSOR);
      hidden = false;
      drawn = 0;
    },
  };
}

/** Cut to the width, colours and all, with `…` where something is missing. */
export function clip(line: string, width: number): string {
  if (widthOf(line) <= width) return line;
  let [kept, used] = ['', 0];
  // oxlint-disable-next-line no-control-regex
  for (const [piece] of line.matchAll(/\u001b\[[0-9;]*m|[^\u001b]/gu)) {
    if (piece.startsWith('\u001b')) {
      kept += piece;
      continue;
    }
    used += widthOf(piece);
    if (used > width - 1) break;
    kept += piece;
  }
  return `${fit(kept, Infinity)}…${line.includes('\u001b') ? RESET : ''}`;
}
