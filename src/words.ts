/** The word of `known` that a mistyped one probably meant: at most a third of its letters differ. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Letters left out, put in, changed, or two neighbours swapped. */
function editDistance(a: string, b: string): number {
  let above: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(
        Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swapped ? (above[j - 2] ?? 0) + 1 : Infinity),
      );
    }
    above = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/** `1 object`, `3 objects` */
export const count = (n: number, noun: string, plural = `${noun}s`) => `${n} ${n === 1 ? noun : plural}`;

/** 372000 → `6 min 12 s`; 850 → `0.85 s` */
export function spell(ms: number): string {
  if (ms < 10_000) return `${Number((ms / 1000).toFixed(2))} s`;
  const total = Math.round(ms / 1000);
  const [h, min, s] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
  return [h && `${h} h`, min && `${min} min`, s && `${s} s`].filter(Boolean).join(' ');
}

/** One decimal, but whole numbers stay whole: 20 → `20`, 4.76 → `4.8` */
export const points = (share: number) => String(Number(share.toFixed(1)));

const DURATION = /^(?=\d)(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** `1h30m` → 5400000; undefined when it isn't one. */
export function parseDuration(text: string): number | undefined {
  const found = DURATION.exec(text);
  if (!found) return undefined;
  const [, h, m, s, ms] = found.map((part) => Number(part ?? 0));
  return (h ?? 0) * 3_600_000 + (m ?? 0) * 60_000 + (s ?? 0) * 1000 + (ms ?? 0);
}
