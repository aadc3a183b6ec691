import { Skipped, type Check, type Finding, type Sight } from '../../src/check.js';
import { namesClaim } from '../../src/disk-entry.js';
import { isRegional, namedZone } from '../../src/disk-place.js';
import { pathOf, zoneOf } from '../../src/objects.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { isRewritten, volumesOfClaims } from '../disks.js';
import { mayRunOn, regionOf, usableNodes, PLACEMENT } from '../nodes.js';
import { type NodeTerm, WORKLOADS, workloads, type Workload, workloadFields } from '../pods.js';

/**
 * A new disk is made in one zone and can be attached nowhere else. Made in the wrong one it is found out last, by a pod that
 * stays Pending, after hours of copying.
 *
 * @source https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createdisk
 * @source AliyunContainerService/velero-plugin (a zone that no one chose, issue 48)
 */
export const zoneOfDisks: Check = {
  id: 'zone-of-disks',
  group: 'storage',
  asks: 'Is there one zone for the copied disks in which their pods may run?',
  before: 'data',
  severity: 'refuse',
  when: ['data', 'cloud'],
  reads: { source: ['PersistentVolumeClaim', 'PersistentVolume', ...WORKLOADS], target: ['Node'] },
  takes: workloadFields(
    [...PLACEMENT, 'spec.volumes.persistentVolumeClaim.claimName'],
    ['spec.volumeClaimTemplates.metadata.name'],
  ),
  hint: {
    why: 'A disk can be attached only in its own zone: made in another one, its pod stays Pending.',
    fix: 'Name the zone as `data.zone` in the playbook, or by `data.disks.zones` and rules (docs/disks.md); it needs ready nodes on which the pods of the disks may run.',
  },
  zh: {
    asks: '复制出来的云盘能否放在一个其 Pod 可以运行的可用区？',
    why: '云盘只能挂载到同一可用区的节点；建错可用区，Pod 会一直 Pending。',
    fix: '在 playbook 中用 data.zone 指定可用区；该可用区要有就绪节点，并且这些 Pod 可以调度到其上。',
  },
  sources: [
    'https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createdisk',
    'https://github.com/AliyunContainerService/velero-plugin/issues/48',
    'kubernetes-sigs/alibaba-cloud-csi-driver:pkg/disk',
  ],

  look(sight) {
    const disks = volumesOfClaims(sight).filter((it) => it.volume && isRewritten(it.volume, sight));
    if (!sight.playbook.data || sight.playbook.data.disks.by === 'none')
      throw new Skipped('`data.disks` is none: no disk is copied');
    if (sight.playbook.data.disks.by === 'driver')
      throw new Skipped('`data.disks` is driver: it makes each disk in the zone of its pod');
    if (disks.length === 0) return [];
    const nodes = usableNodes(sight.target);
    const away = elsewhere(nodes, sight);
    if (away.length > 0) return away;
    const zones = [...new Set(nodes.map(zoneOf))].filter((it) => it !== undefined).sort();
    const found: Finding[] = [];
    for (const { claim, volume } of disks) {
      const choice = choiceFor(claim, volume, sight);
      if (choice === 'regional') continue;
      const zone = choice ?? (zones.length === 1 ? zones[0] : undefined);
      if (zone === undefined) found.push(unclear(zones));
      else if (!zones.includes(zone)) found.push(empty(zone, zones, claim, sight));
      else {
        const there = nodes.filter((it) => zoneOf(it) === zone);
        found.push(...users(claim, sight).flatMap((it) => stranded(it, claim, zone, there)));
      }
    }
    return [...new Map(found.map((it) => [`${it.about}: ${it.saw}`, it])).values()];
  },
};

/** What the playbook says of the zone of one disk. */
function choiceFor(
  claim: KubeObject,
  volume: KubeObject | undefined,
  { playbook: { data } }: Sight,
): string | undefined {
  if (!data) return undefined;
  const rule = data.disks.rules.find((it) => namesClaim(it.claims, pathOf(claim.metadata)));
  const [first] = data.disks.categories;
  if (isRegional(rule?.category ?? first ?? '')) return 'regional';
  return namedZone(oldZone(volume), rule, data);
}

/** Where the volume says that its disk is. */
function oldZone(volume: KubeObject | undefined): string {
  const terms = (volume?.['spec']?.nodeAffinity?.required?.nodeSelectorTerms ?? []) as NodeTerm[];
  const said = terms.flatMap((it) => it.matchExpressions ?? []).find((it) => it.key.endsWith('/zone'));
  return said?.values?.[0] ?? (volume && zoneOf(volume)) ?? '';
}

const unclear = (zones: readonly string[]): Finding => ({
  about: 'data.zone',
  saw:
    zones.length === 0 ? 'no ready node of the target has a zone label' : `ready nodes of the target in ${some(zones)}`,
  want: zones.length === 0 ? 'nodes labelled topology.kubernetes.io/zone' : 'one of them, named in the playbook',
});

const empty = (zone: string, zones: readonly string[], claim: KubeObject, { playbook }: Sight): Finding => ({
  about: zone === playbook.data?.zone ? 'data.zone' : about(claim),
  saw: `${zone}; ready nodes of the target in ${some(zones) || 'no zone'}`,
  want: 'a zone that has ready nodes',
});

function elsewhere(nodes: readonly KubeObject[], { playbook }: Sight): Finding[] {
  const wanted = playbook.cloud?.targetRegion ?? playbook.cloud?.region;
  const regions = [...new Set(nodes.map(regionOf))].filter((it) => it !== undefined);
  if (regions.length === 0 || regions.includes(wanted ?? '')) return [];
  const key = playbook.cloud?.targetRegion === undefined ? 'cloud.region' : 'cloud.targetRegion';
  return [
    {
      about: key,
      saw: `the target's nodes are in ${some(regions)}`,
      want: wanted ?? '',
      fix: 'Name the target’s region as `cloud.targetRegion` in the playbook.',
    },
  ];
}

function stranded(
  { object, spec }: Workload,
  claim: KubeObject,
  zone: string,
  nodes: readonly KubeObject[],
): Finding[] {
  if (nodes.some((it) => mayRunOn(spec, it))) return [];
  return [
    {
      about: about(claim),
      saw: `${about(object)} may run on no node in ${zone}`,
      want: 'a node in that zone which its nodeSelector and node affinity admit',
    },
  ];
}

/** Workloads that mount the claim by name, or whose template made it: `<template>-<set>-<n>`. */
const users = (claim: KubeObject, { source }: Sight): Workload[] =>
  workloads(source, [claim.metadata.namespace ?? '']).filter(({ object, spec }) => {
    if (spec.volumes?.some((it) => it.persistentVolumeClaim?.claimName === claim.metadata.name)) return true;
    const templates: KubeObject[] = object['spec']?.volumeClaimTemplates ?? [];
    return templates.some((it) => {
      const stem = `${it.metadata.name}-${object.metadata.name}-`;
      return claim.metadata.name.startsWith(stem) && /^\d+$/.test(claim.metadata.name.slice(stem.length));
    });
  });
