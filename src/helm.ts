import { gunzipSync } from 'node:zlib';
import type { HelmRelease } from './inventory.js';
import { namedIn } from './manifests.js';
import { about, kindOf } from './objects.js';
import type { KubeObject } from './ports.js';

/**
 * Releases of Helm 3 as it stores them: one Secret or ConfigMap for each revision, the release inside as zipped JSON. Its values and
 * templates hold credentials; they are unpacked in memory and only the names in the manifest are kept.
 *
 * @source helm/helm:pkg/storage/driver/secrets.go, cfgmaps.go, util.go
 */
export const HELM_LABELS = 'owner=helm';

/** One revision by the labels that Helm gives it. */
export interface Revision {
  object: KubeObject;
  release: string;
  revision: number;
  status: string;
}

export function revisionOf(object: KubeObject): Revision | undefined {
  const { owner, name, version, status } = object.metadata.labels ?? {};
  const revision = Number(version);
  if (owner !== 'helm' || name === undefined || status === undefined || !Number.isInteger(revision)) return undefined;
  return { object, release: name, revision, status };
}

/**
 * Of each release the revision that `helm upgrade` compares with: the newest that is deployed, else the newest. One whose newest revision
 * is uninstalled has none: Helm would start afresh.
 *
 * @source helm/helm:pkg/action/upgrade.go (prepareUpgrade), pkg/storage/storage.go (DeployedAll)
 */
export function inUse(revisions: readonly Revision[]): Revision[] {
  const byRelease = new Map<string, Revision[]>();
  for (const it of revisions) {
    const key = `${kindOf(it.object)} ${it.object.metadata.namespace}/${it.release}`;
    byRelease.set(key, [...(byRelease.get(key) ?? []), it]);
  }
  return [...byRelease.values()].flatMap((all) => {
    const newest = latest(all);
    if (!newest || GONE.has(newest.status)) return [];
    return [latest(all.filter((it) => it.status === 'deployed')) ?? newest];
  });
}

const GONE: ReadonlySet<string> = new Set(['uninstalled', 'uninstalling']);

const latest = (all: readonly Revision[]) => all.toSorted((a, b) => b.revision - a.revision)[0];

/** No release is that big: a Secret holds 1 MiB of the zipped text. */
const MOST_BYTES = 256 * 1024 * 1024;

/**
 * @param object  with its data
 * @throws Error  when it is not what Helm writes
 */
export function releaseOf({ release, revision, status }: Revision, object: KubeObject): HelmRelease {
  const { namespace = '' } = object.metadata;
  const stored: unknown = object['data']?.release;
  if (typeof stored !== 'string') throw new Error('it has no key `release`');
  const text = object.kind === 'Secret' ? Buffer.from(stored, 'base64').toString('latin1') : stored;
  const { manifest } = JSON.parse(unzipped(Buffer.from(text, 'base64')).toString('utf8')) as { manifest?: unknown };
  // Braces in what was rendered are text.
  const writes = typeof manifest === 'string' ? namedIn(manifest).objects : [];
  return { name: release, namespace, revision, status, storedIn: about(kindOf(object), object.metadata), writes };
}

/** Helm 3.0 to 3.2 also read what was not zipped. */
const unzipped = (bytes: Buffer): Buffer =>
  bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes, { maxOutputLength: MOST_BYTES }) : bytes;
