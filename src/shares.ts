import type { Workload } from './args.js';
import { namesClaim, type ShareRule } from './disk-entry.js';
import { usersOf, type Writers, writersOf } from './disk-writers.js';
import { MigrateError } from './errors.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { pathOf } from './objects.js';
import type { Playbook } from './playbook.js';
import type { KubeObject } from './ports.js';
import { HIDDEN } from './redact.js';

/**
 * NAS, OSS and NFS volumes. They are not copied: the target gets a PersistentVolume of its own for the same share, or for the one that the
 * playbook names in its place. Two sides can mount it at once, and so the source's writers stop first, unless the playbook says that both
 * may write.
 *
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:pkg/nas/nodeserver.go, pkg/oss/utils.go, docs/migrate/flexvolume-to-csi-nas-oss.md
 */
export interface MovedShare {
  /** `namespace/name` of the claim */
  claim: string;
  /** name of the PersistentVolume, the same on both sides */
  volume: string;
  /** those that stop before the target mounts it; none where both sides may write, or nobody does */
  workloads: Workload[];
  cronJobs: { namespace: string; name: string }[];
  /** those under way, as `namespace/name` */
  jobs: string[];
  /** nobody of the source may write to it once the target starts */
  guarded: boolean;
  /** the target's PersistentVolume, whole */
  newVolume: KubeObject;
}

const NAS_DRIVER = 'nasplugin.csi.alibabacloud.com';
const OSS_DRIVER = 'ossplugin.csi.alibabacloud.com';
const DRIVERS: Record<string, string> = {
  [NAS_DRIVER]: 'nas',
  'cpfsplugin.csi.alibabacloud.com': 'nas',
  [OSS_DRIVER]: 'oss',
  'alicloud/nas': 'nas',
  'alicloud/oss': 'oss',
};

/** `nas`: by server and directory, `oss`: by bucket and endpoint; undefined for what is no share. */
export function shareKind({ spec }: KubeObject): 'nas' | 'oss' | 'nfs' | undefined {
  if (spec?.nfs) return 'nfs';
  return DRIVERS[String(spec?.csi?.driver ?? spec?.flexVolume?.driver)] as 'nas' | 'oss' | undefined;
}

/** The CSI driver that mounts it on the target; undefined for plain NFS, which needs none, and for what is no share. */
export function shareDriver(volume: KubeObject): string | undefined {
  const { spec } = volume;
  if (shareKind(volume) === undefined || spec?.nfs) return undefined;
  return spec?.csi?.driver ?? (spec?.flexVolume?.driver === 'alicloud/oss' ? OSS_DRIVER : NAS_DRIVER);
}

/** Whether the move makes a volume for it: where disks are left alone, only for those that the playbook names. */
export const isMovedShare = (playbook: Playbook, claim: KubeObject): boolean =>
  playbook.data !== undefined &&
  (playbook.data.disks.by !== 'none' || shareRule(playbook, pathOf(claim.metadata)) !== undefined);

/**
 * The VPC by which a controller that one runs oneself makes its load balancers; a managed one keeps that to itself.
 * @param map  ConfigMap kube-system/cloud-config
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/config/cloud_config.go
 */
export function vpcIn(map: KubeObject): string | undefined {
  const text: unknown = map['data']?.['cloud-config.conf'];
  return typeof text === 'string' ? /"vpcid"\s*:\s*"([^"]+)"/.exec(text)?.[1] : undefined;
}

const vpcOf = (side: ClusterInventory): string | undefined => {
  const map = (side.objects['ConfigMap'] ?? []).find(
    (it) => it.metadata.namespace === 'kube-system' && it.metadata.name === 'cloud-config',
  );
  return map && vpcIn(map);
};

/**
 * @returns the shares behind the claims of the playbook's namespaces; where disks are left alone, those that the playbook names
 * @throws MigrateError PLAN_SHARED_VOLUME_UNFIT
 */
export function movedShares(
  playbook: Playbook,
  { source, target }: Inventory,
): { shares: MovedShare[]; notes: string[] } {
  const { data } = playbook;
  if (!data) return { shares: [], notes: [] };
  const notes: string[] = [];
  const volumes = new Map((source.objects['PersistentVolume'] ?? []).map((it) => [it.metadata.name, it]));
  const shares = (source.objects['PersistentVolumeClaim'] ?? []).flatMap((claim): MovedShare[] => {
    const volume = volumes.get(String(claim['spec']?.volumeName));
    if (!data.namespaces.includes(claim.metadata.namespace ?? '') || !volume || !shareKind(volume)) return [];
    const path = pathOf(claim.metadata);
    if (!isMovedShare(playbook, claim)) return [];
    const rule = shareRule(playbook, path);
    const problem = shareProblem(playbook, claim, volume, { source: vpcOf(source), target: vpcOf(target) });
    if (problem) throw unfit(path, problem);
    const guarded = rule?.writers !== 'many' && !isReadOnly(claim, volume);
    const other = guarded ? writerElsewhere(volume, source, data.namespaces) : undefined;
    if (other)
      throw unfit(path, {
        why: `claim ${other.claim} has the same share by volume ${other.volume}, and ${other.who} of there, which does not move, may write to it`,
        fix: 'Move that namespace too, end who writes, or say `writers: many` in its entry of `data.disks.shares` if both sides may write (docs/disks.md).',
      });
    // Where nobody stops nobody is refused either.
    const writers = isReadOnly(claim, volume)
      ? NOBODY
      : writersOf(claim, source, !guarded, { unfit: (it, why, fix) => unfit(it, { why, fix }) });
    notes.push(...notesOf(path, guarded, writers));
    return [
      {
        claim: path,
        volume: volume.metadata.name,
        ...(guarded ? writers : NOBODY),
        guarded,
        newVolume: newVolume(volume, claim, rule, data.storageClasses),
      },
    ];
  });
  const cnfs = shares.filter((it) => networkFileSystemOf(it.newVolume) !== undefined);
  if (cnfs.length > 0)
    notes.push(
      `The target needs a ContainerNetworkFileSystem of the same name for ${cnfs.map((it) => `${it.claim} (${networkFileSystemOf(it.newVolume)})`).join(', ')}.`,
    );
  return { shares, notes };
}

const NOBODY: Writers = { workloads: [], cronJobs: [], jobs: [] };

function notesOf(claim: string, guarded: boolean, { workloads, cronJobs, jobs }: Writers): string[] {
  const all = [...[...workloads, ...cronJobs].map(pathOf), ...jobs];
  if (all.length === 0) return [];
  return guarded
    ? [`Claim ${claim}: its writers stop on the source before the target mounts the share: ${all.join(', ')}.`]
    : [
        `Claim ${claim}: both sides write to the share at once, as the playbook says (writers: many): ${all.join(', ')}.`,
      ];
}

/** Somebody of a namespace that stays, by a volume of its own for the same directory: nobody would stop them. */
function writerElsewhere(
  volume: KubeObject,
  source: ClusterInventory,
  moved: readonly string[],
): { claim: string; volume: string; who: string } | undefined {
  const place = sharePlace(volume);
  for (const it of source.objects['PersistentVolume'] ?? []) {
    const { namespace, name } = (it['spec']?.claimRef ?? {}) as { namespace?: string; name?: string };
    const isOther = it !== volume && shareKind(it) && place !== undefined && sharePlace(it) === place;
    // By the volume's own modes: claims of namespaces that stay are not looked at.
    if (!isOther || namespace === undefined || name === undefined || moved.includes(namespace) || isReadOnly(it, it))
      continue;
    const { workloads, cronJobs, jobs, left } = usersOf({ ...it, metadata: { namespace, name } }, source, true);
    const [who] = [...[...workloads, ...cronJobs].map(pathOf), ...jobs, ...left];
    if (who !== undefined) return { claim: `${namespace}/${name}`, volume: it.metadata.name, who };
  }
  return undefined;
}

/** Server or bucket, and directory. */
function sharePlace({ spec }: KubeObject): string | undefined {
  const given = spec?.nfs ?? spec?.csi?.volumeAttributes ?? spec?.flexVolume?.options ?? {};
  const { server, bucket, path = '/' } = given as Record<string, string | undefined>;
  return (server ?? bucket) === undefined ? undefined : `${server ?? bucket} ${path.replace(/\/+$/, '') || '/'}`;
}

/** The first that names the claim counts. */
export const shareRule = ({ data }: Playbook, claim: string): ShareRule | undefined =>
  data?.disks.shares.find((it) => namesClaim(it.claims, claim));

const READ_MODES = new Set(['ReadOnlyMany']);

/** Nobody can write through it, whatever pods ask for. */
function isReadOnly(claim: KubeObject, { spec }: KubeObject): boolean {
  const modes = (claim['spec']?.accessModes ?? []) as string[];
  return (
    (modes.length > 0 && modes.every((it) => READ_MODES.has(it))) ||
    (spec?.csi?.readOnly ?? spec?.nfs?.readOnly ?? spec?.flexVolume?.readOnly) === true
  );
}

/**
 * Why the target can't mount the share as the playbook has it, in words; undefined when nothing is known to be against it.
 * @param vpcs  of the two clusters, as far as they tell
 */
export function shareProblem(
  playbook: Playbook,
  claim: KubeObject,
  volume: KubeObject,
  vpcs: { source: string | undefined; target: string | undefined },
): { why: string; fix: string } | undefined {
  const { cloud } = playbook;
  const kind = shareKind(volume);
  const rule = shareRule(playbook, pathOf(claim.metadata));
  const region = cloud?.targetRegion ?? cloud?.region;
  const entry = kind === 'oss' ? '`bucket`, `url` and `secret`' : '`server` and `path`';
  if (!rule && cloud && region !== cloud.region)
    return {
      why: `the move goes to ${region}, and its files are not copied there`,
      fix: `Bring the files there, and name the share in their place under \`data.disks.shares\`: ${entry}.`,
    };
  const isTold = vpcs.source !== undefined && vpcs.target !== undefined;
  if (!rule && kind !== 'oss' && isTold && vpcs.source !== vpcs.target)
    return {
      why: `the source is in ${vpcs.source}, the target in ${vpcs.target}, and a mount target answers in its own VPC`,
      fix: `Make a mount target in ${vpcs.target}, and name it under \`data.disks.shares\`: ${entry}. If networks are joined, name the old one.`,
    };
  const named = kind === 'oss' ? rule?.server && '`server`' : (rule?.bucket && '`bucket`') || (rule?.url && '`url`');
  if (named)
    return { why: `its entry names ${named}, and the volume is ${WORDS[kind ?? 'nas']}`, fix: `Name ${entry}.` };
  const made = newVolume(volume, claim, rule, {});
  const address = shareAddress(made);
  const at = address === undefined ? undefined : regionIn(address);
  if (at !== undefined && region !== undefined && at !== region)
    return {
      why: `${address} answers in ${at} alone, and the target is in ${region}`,
      fix: `Name an address of ${region} under \`data.disks.shares\`: ${entry}.`,
    };
  if (JSON.stringify(made['spec']).includes(HIDDEN))
    return {
      why: 'its keys stand in the volume itself, where everybody reads them, and no plan holds keys',
      fix: 'Put akId and akSecret into a Secret of a moved namespace, and name it under `data.disks.shares` as `secret`.',
    };
  return undefined;
}

const WORDS = { nas: 'a NAS share', nfs: 'an NFS share', oss: 'an OSS bucket' };

const unfit = (claim: string, { why, fix }: { why: string; fix: string }) =>
  new MigrateError('PLAN_SHARED_VOLUME_UNFIT', {
    what: `The share of claim ${claim} can't be mounted by the target: ${why}.`,
    why: 'A share is not copied: the target mounts it, or the one that the playbook names in its place.',
    fix,
  });

const shareAddress = ({ spec }: KubeObject): string | undefined => {
  const attributes = spec?.csi?.volumeAttributes ?? spec?.flexVolume?.options ?? {};
  const address: unknown = spec?.nfs?.server ?? attributes.server ?? attributes.url;
  return typeof address === 'string' ? address : undefined;
};

/**
 * Of addresses that answer in one region alone: `x.cn-hangzhou.nas.aliyuncs.com`, `x.cn-hangzhou.extreme.nas…`,
 * `oss-cn-hangzhou-internal.aliyuncs.com`.
 *
 * @source https://www.alibabacloud.com/help/en/nas/user-guide/manage-mount-targets, https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints
 */
const regionIn = (address: string): string | undefined =>
  /\.([a-z]+-[-a-z0-9]+?)\.(?:extreme\.|cpfs\.)?nas\.aliyuncs\.com/.exec(address)?.[1] ??
  /(?:^|\/\/|\.)oss-([-a-z0-9]+?)-internal\.aliyuncs\.com/.exec(address)?.[1];

/** A custom resource of the cluster that knows server or bucket in the volume's place. */
const networkFileSystemOf = ({ spec }: KubeObject): string | undefined =>
  spec?.csi?.volumeAttributes?.containerNetworkFileSystem;

/** Secrets by whose keys the target's nodes mount the share. */
export function shareSecrets(playbook: Playbook, claim: KubeObject, volume: KubeObject) {
  const { spec } = newVolume(volume, claim, shareRule(playbook, pathOf(claim.metadata)), {});
  const { nodePublishSecretRef, nodeStageSecretRef, volumeAttributes } = spec?.csi ?? {};
  const ofPods: unknown = volumeAttributes?.secretRef;
  return [
    ...[nodePublishSecretRef, nodeStageSecretRef].flatMap((it) =>
      it?.name ? [{ namespace: String(it.namespace ?? 'default'), name: String(it.name) }] : [],
    ),
    // The client runs as a pod in a namespace of the driver's own.
    ...(typeof ofPods === 'string' ? [{ namespace: FUSE_NAMESPACE, name: ofPods }] : []),
  ];
}

/** @source https://www.alibabacloud.com/help/en/cs/user-guide/use-ossfs-to-mount-a-statically-provisioned-oss-volume */
const FUSE_NAMESPACE = 'ack-csi-fuse';

/**
 * The same share under the same name, bound to the claim in advance. Kept when the claim goes, and without the mark of a provisioner: nothing
 * of the target may delete what the source has too.
 */
function newVolume(
  volume: KubeObject,
  claim: KubeObject,
  rule: ShareRule | undefined,
  classes: Readonly<Record<string, string>>,
): KubeObject {
  const { capacity, accessModes, volumeMode, storageClassName } = volume['spec'] ?? {};
  const { source, mountOptions } = sourceOf(volume, rule);
  const { labels } = volume.metadata;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: volume.metadata.name, ...(labels && { labels }) },
    spec: {
      capacity,
      accessModes,
      ...(volumeMode && { volumeMode }),
      ...(mountOptions.length > 0 && { mountOptions }),
      storageClassName: classes[storageClassName as string] ?? storageClassName ?? '',
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: claim.metadata.namespace,
        name: claim.metadata.name,
      },
      ...source,
    },
  };
}

interface Source {
  source: Record<'nfs' | 'csi', unknown> | Record<string, unknown>;
  mountOptions: string[];
}

/** Keys in a volume itself, and what names a Secret in their place. */
const KEYS = new Set(['akId', 'akSecret', 'secretRef']);

function sourceOf({ metadata, spec }: KubeObject, rule: ShareRule | undefined): Source {
  const mountOptions = (spec?.mountOptions ?? []) as string[];
  const { server, path, bucket, url, secret } = rule ?? {};
  const place = {
    ...(server && { server }),
    ...(path && { path }),
    ...(bucket && { bucket }),
    ...(url && { url }),
  };
  if (spec?.nfs) return { source: { nfs: { ...spec.nfs, ...place } }, mountOptions };
  const flex = spec?.flexVolume;
  const given = Object.entries((spec?.csi?.volumeAttributes ?? flex?.options ?? {}) as Record<string, string>);
  const kept = given.filter(
    ([key]) =>
      !key.endsWith('csiProvisionerIdentity') &&
      // Server and bucket of that custom resource would win over the entry's.
      !(key === 'containerNetworkFileSystem' && (server ?? bucket) !== undefined) &&
      !(KEYS.has(key) && secret !== undefined) &&
      !(flex && OF_MOUNT.has(key)),
  );
  const volumeAttributes = { ...Object.fromEntries(kept), ...place };
  const [namespace, name] = secret?.split('/') ?? [];
  const reference = secret === undefined ? flex?.secretRef : { namespace, name };
  return {
    source: {
      csi: {
        ...(flex
          ? { driver: flex.driver === 'alicloud/oss' ? OSS_DRIVER : NAS_DRIVER, volumeHandle: metadata.name }
          : spec?.csi),
        ...(flex?.readOnly === true && { readOnly: true }),
        ...(reference && { nodePublishSecretRef: reference }),
        volumeAttributes,
      },
    },
    mountOptions: flex ? [...mountOptions, ...ofFlexVolume(given)] : mountOptions,
  };
}

/** Options of a FlexVolume that a CSI volume has among its mount options. */
const OF_MOUNT = new Set(['vers', 'options', 'kubernetes.io/fsType']);

function ofFlexVolume(given: readonly (readonly [string, string])[]): string[] {
  const { vers, options } = Object.fromEntries(given) as Record<string, string | undefined>;
  return [...(options ? [options] : []), ...(vers && !options?.includes('vers=') ? [`vers=${vers}`] : [])];
}
