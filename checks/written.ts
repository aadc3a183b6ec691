import { changeOf } from '../src/api-changes.js';
import { fateOf, NEWEST } from '../src/api-table.js';
import { Unknown, type SideSight, type Sight } from '../src/check.js';
import { groupOf } from '../src/objects.js';
import type { ServedKind } from '../src/ports.js';

/** Something that names an API: a manifest, what Helm stores, a note of the last apply. */
interface Names {
  apiVersion: string;
  kind: string;
}

/** What is wrong with it, and what has to change. */
export interface Outdated {
  saw: string;
  want?: string;
  fix: string;
}

export const versionOf = ({ group, version }: Pick<ServedKind, 'group' | 'version'>) =>
  group ? `${group}/${version}` : version;

export const servesExactly = (side: SideSight, { apiVersion, kind }: Names): boolean =>
  side.served().some((it) => it.kind === kind && versionOf(it) === apiVersion);

/**
 * What the target does not serve of what is written somewhere. Discovery of the target decides, of whatever release it is; the table
 * only tells the kinds of Kubernetes from words that mean nothing to either cluster, and what took a version's place.
 *
 * @returns undefined when the target serves it, or when neither cluster knows what it is
 * @throws Unknown  when its group on the target could not be asked
 */
export function outdated(it: Names, { source, target }: Sight): Outdated | undefined {
  if (isNeverSent(it) || servesExactly(target, it)) return undefined;
  const group = groupOf(it.apiVersion);
  const failed = target.inventory.unseen.find(({ kind }) => kind === `*.${group}`);
  if (failed) throw new Unknown(`target: what the API server serves in ${group}: ${failed.why}`);
  const fate = fateOf(it.apiVersion, it.kind, Math.min(target.minor(), NEWEST));
  if (!servesExactly(source, it) && (fate.is === 'unknown' || fate.is === 'phantom')) return undefined;
  const [there] = placesOf(it, target);
  const gone =
    fate.is === 'gone'
      ? `, gone from 1.${fate.from} on`
      : fate.is === 'not yet'
        ? `, which begins with 1.${fate.from}`
        : '';
  return {
    saw: `${it.kind} in ${it.apiVersion}${gone}`,
    ...(there && { want: there }),
    fix: mending(it, target, there),
  };
}

/** Settings of programs that look like objects: no server ever sees them. */
const isNeverSent = ({ apiVersion, kind }: Names) =>
  /(^|\.)config\.k8s\.io\/|^(?:kubeadm|audit|client\.authentication)\.k8s\.io\/|^kind\.x-k8s\.io\//.test(apiVersion) ||
  (apiVersion === 'v1' && kind === 'Config');

/** Versions in which the target has the kind, that which took this one's place first. */
function placesOf(it: Names, target: SideSight): string[] {
  const to = changeOf(it.apiVersion, it.kind)?.to;
  const group = groupOf(it.apiVersion);
  const same = target.served().filter((one) => one.kind === it.kind && (one.group === group || versionOf(one) === to));
  return same
    .toSorted(
      (a, b) => Number(versionOf(b) === to) - Number(versionOf(a) === to) || Number(b.preferred) - Number(a.preferred),
    )
    .map(versionOf);
}

/** `Write networking.k8s.io/v1: backend.serviceName → …` */
export function mending(it: Names, target: SideSight, there = placesOf(it, target)[0]): string {
  const change = changeOf(it.apiVersion, it.kind);
  const fields = change && (change.to === there || change.to === 'none') ? change.fields.join('; ') : '';
  if (there !== undefined) return `Write ${there}${fields && `: ${fields}`}.`;
  if (change?.to === 'none')
    return `Take it out: nothing of its kind is there. ${fields && `${fields[0]?.toUpperCase()}${fields.slice(1)}.`}`.trim();
  return `Install what brings ${it.kind} on the target first, or take it out.`;
}
