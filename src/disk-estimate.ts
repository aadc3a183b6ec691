import { spell } from './words.js';

/** One disk's live passes: what they took tells how long its writers will rest. */
export interface LivePasses {
  claim: string;
  sizeGiB: number;
  /** steps of each pass, in order */
  passes: string[][];
}

export interface Estimate {
  disks: number;
  sizeGiB: number;
  /** the longest first pass, which moved everything: an upper bound for the last one */
  mostMs: number;
  /** the longest of the latest passes, each of which moved what had changed since the one before; only where there were two at least */
  likelyMs?: number;
}

/**
 * Disks go side by side, so the longest counts.
 * @param took  of a step, by the journal; undefined where it is not done
 * @returns undefined without any live pass that is done
 */
export function estimateOf(
  live: readonly LivePasses[],
  took: (step: string) => number | undefined,
): Estimate | undefined {
  const timed = live.flatMap(({ sizeGiB, passes }) => {
    const each = passes.map((steps) => steps.map(took)).filter((it) => it.every((ms) => ms !== undefined));
    return each.length === 0 ? [] : [{ sizeGiB, passesMs: each.map((it) => it.reduce((sum, ms) => sum + ms, 0)) }];
  });
  if (timed.length === 0) return undefined;
  const longest = (of: (passesMs: number[]) => number | undefined) =>
    Math.max(...timed.map((it) => of(it.passesMs) ?? 0));
  return {
    disks: timed.length,
    sizeGiB: timed.reduce((sum, it) => sum + it.sizeGiB, 0),
    mostMs: longest((it) => it[0]),
    ...(timed.every((it) => it.passesMs.length > 1) && { likelyMs: longest((it) => it.at(-1)) }),
  };
}

export function tell({ disks, sizeGiB, mostMs, likelyMs }: Estimate): string {
  const whole = `the first live pass took ${spell(mostMs)} for ${sizeGiB} GiB${disks > 1 ? ` on ${disks} disks` : ''}`;
  const last =
    likelyMs === undefined
      ? 'the last pass, without writers, takes no longer'
      : `the latest ${spell(likelyMs)}, and so about will the last pass, without writers`;
  return `${whole}; ${last}; making the new disk comes on top`;
}
