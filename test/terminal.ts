/** What a terminal shows after some output: as much of one as our views use (line feeds, moving up, clearing, colours). */
export function screenAfter(output: string): string[] {
  const lines: string[] = [''];
  let [row, column] = [0, 0];
  for (const [, escape, newline, back, text] of output.matchAll(
    // oxlint-disable-next-line no-control-regex
    /(\u001b\[[?0-9;]*[A-Za-z])|(\n)|(\r)|([^\u001b\n\r]+)/g,
  )) {
    if (newline) {
      row++;
      column = 0;
      lines[row] ??= '';
    } else if (back) column = 0;
    else if (text) {
      const line = lines[row] ?? '';
      lines[row] = line.slice(0, column).padEnd(column) + text + line.slice(column + text.length);
      column += text.length;
    } else if (escape?.endsWith('A')) row = Math.max(0, row - (Number.parseInt(escape.slice(2), 10) || 1));
    else if (escape?.endsWith('J')) {
      lines.length = row + 1;
      lines[row] = (lines[row] ?? '').slice(0, column);
    } else if (escape && !/[mhl]$/.test(escape))
      throw new Error(`a sequence that this terminal does not know: ${JSON.stringify(escape)}`);
  }
  return lines;
}
