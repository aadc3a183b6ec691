const [QUOTE, BACKSLASH, COLON, OPEN_LIST, CLOSE_LIST, OPEN_MAP, CLOSE_MAP, BLANK] = [
  0x22, 0x5c, 0x3a, 0x5b, 0x5d, 0x7b, 0x7d, 0x20,
];

/**
 * Cuts a list as an API server sends it into its items, so that each is parsed by itself and can be let go of before the next: a page
 * parsed at once is held as a text and as objects, several times its size, and for long enough to count as old.
 *
 * @param list  JSON in UTF-8: an object that has `items`, a list of objects
 * @param take  each item, with its length in bytes
 * @returns the text around them: the list without its items
 * @throws SyntaxError  it is not JSON; what `take` throws
 */
export function cutItems<Item>(list: Buffer, take: (item: Item, bytes: number) => void): string {
  const start = startOfItems(list);
  if (start === undefined) return list.toString('utf8');
  let at = start;
  for (;;) {
    while (at < list.length && list[at] !== OPEN_MAP && list[at] !== CLOSE_LIST) at++;
    if (list[at] !== OPEN_MAP) break;
    const end = endOf(list, at);
    take(JSON.parse(list.toString('utf8', at, end)) as Item, end - at);
    at = end;
  }
  return list.toString('utf8', 0, start) + list.toString('utf8', at);
}

/** Behind the bracket that opens `items` of the outermost object; undefined where there is none. */
function startOfItems(list: Buffer): number | undefined {
  let depth = 0;
  for (let at = 0; at < list.length; at++) {
    const byte = list[at];
    if (byte === OPEN_MAP || byte === OPEN_LIST) depth++;
    else if (byte === CLOSE_MAP || byte === CLOSE_LIST) depth--;
    else if (byte === QUOTE) {
      const end = endOfText(list, at);
      if (depth === 1 && list.toString('latin1', at, end) === '"items"') {
        const colon = skipBlanks(list, end);
        const open = skipBlanks(list, colon + 1);
        if (list[colon] === COLON && list[open] === OPEN_LIST) return open + 1;
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Behind the bracket that closes the object which opens at `at`. */
function endOf(list: Buffer, at: number): number {
  let depth = 0;
  for (let here = at; here < list.length; here++) {
    const byte = list[here];
    if (byte === QUOTE) here = endOfText(list, here) - 1;
    else if (byte === OPEN_MAP) depth++;
    else if (byte === CLOSE_MAP && --depth === 0) return here + 1;
  }
  throw new SyntaxError('a list ended in the middle of an item');
}

/** Behind the quote that ends the text which begins at `at`. */
function endOfText(list: Buffer, at: number): number {
  for (let here = at + 1; here < list.length; here++) {
    if (list[here] === BACKSLASH) here++;
    else if (list[here] === QUOTE) return here + 1;
  }
  throw new SyntaxError('a list ended in the middle of a text');
}

function skipBlanks(list: Buffer, at: number): number {
  while ((list[at] ?? BLANK + 1) <= BLANK) at++;
  return at;
}
