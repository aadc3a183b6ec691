/** The text of `canonical` in pieces, for what is too long to be held as one. */
export function writeCanonical(value: unknown, write: (text: string) => void): void {
  let waiting = '';
  const put = (text: string) => {
    waiting += text;
    if (waiting.length < PIECE) return;
    write(waiting);
    waiting = '';
  };
  const one = (it: unknown): void => {
    if (it === null || typeof it !== 'object') return put(JSON.stringify(it) ?? 'null');
    if (Array.isArray(it)) return joined('[', it, one, ']');
    // By way of an object, as canonical does it: keys that are numbers come first there.
    const sorted = Object.fromEntries(Object.entries(it).sort(([a], [b]) => (a < b ? -1 : 1)));
    const entries = Object.entries(sorted).filter(([, inner]) => inner !== undefined);
    joined(
      '{',
      entries,
      ([key, inner]) => {
        put(`${JSON.stringify(key)}:`);
        one(inner);
      },
      '}',
    );
  };
  const joined = <T>(open: string, parts: readonly T[], write: (part: T) => void, close: string) => {
    put(open);
    for (const [index, part] of parts.entries()) {
      if (index > 0) put(',');
      write(part);
    }
    put(close);
  };
  one(value);
  write(waiting);
}

const PIECE = 16_384;
