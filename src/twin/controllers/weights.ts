/**
 * The cloud controller manager's weight arithmetic, apart from everything else.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go (podNumberAlgorithm,
 *   podPercentAlgorithm): integer division, and at least 1 each
 */

export type BackendMode = 'Cluster' | 'Local' | 'ENI';

export interface Weighable {
  type: 'ecs' | 'eni';
  /** pods behind it: of a node under Local, otherwise 1 */
  pods: number;
}

export const DEFAULT_WEIGHT = 100;

/**
 * @param weight         the annotation `weight`, a sum for the whole cluster; undefined when absent
 * @param defaultWeight  per member when `weight` is absent; not used under Local
 * @param leastOfPod     of a virtual node's pod under Local: 0 with CLB, 1 with NLB
 * @returns one weight per member, in order
 */
export function weightsOf(
  mode: BackendMode,
  weight: number | undefined,
  members: readonly Weighable[],
  defaultWeight = DEFAULT_WEIGHT,
  leastOfPod: 0 | 1 = 0,
): number[] {
  if (weight === 0) return members.map(() => 0);
  if (mode !== 'Local') {
    const each = weight === undefined ? defaultWeight : Math.max(1, Math.floor(weight / members.length));
    return members.map(() => each);
  }
  if (weight === undefined) return members.map((it) => (it.type === 'ecs' ? it.pods : 1));
  const pods = members.reduce((sum, it) => sum + (it.type === 'ecs' ? it.pods : 1), 0);
  return members.map((it) =>
    it.type === 'ecs'
      ? Math.max(1, Math.floor((weight * it.pods) / pods))
      : Math.max(leastOfPod, Math.floor(weight / pods)),
  );
}

/**
 * The value of `weight` or `default-weight` as Go's Atoi reads it: a sign and leading zeros pass, blanks, percent signs and
 * fractions don't.
 *
 * @returns undefined when it is not an integer from 0 to 100
 */
export function parseWeight(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return value >= 0 && value <= 100 ? value + 0 : undefined;
}

export const isAtLeast = (version: string, wanted: string): boolean => {
  const parts = (text: string): number[] =>
    text
      .replace(/^v/, '')
      .split('.')
      .map((it) => Number.parseInt(it, 10) || 0);
  const [a, b] = [parts(version), parts(wanted)];
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  return true;
};
