import type { DiskRule } from './disk-entry.js';
import { unfit } from './disk-unfit.js';
import { MigrateError } from './errors.js';
import type { CloudInventory, ClusterInventory } from './inventory.js';
import { isReady, zoneOf } from './objects.js';
import type { PlaybookData } from './playbook.js';
import type { Disk, KubeObject, SoldDisks } from './ports.js';
import { count } from './words.js';

/** Where a new disk lies, what it is, and how large. */
export interface Place {
  /** empty for a disk that spans its region */
  zone: string;
  category: string;
  performanceLevel?: string;
  sizeGiB: number;
}

/** What the choice is made from. */
export interface Choice {
  /** `namespace/name` */
  claim: string;
  /** the source's */
  disk: Disk;
  rule: DiskRule | undefined;
  data: PlaybookData;
  target: ClusterInventory;
  cloud: CloudInventory;
  /** of the target, by the name that the claim will have; undefined where the target has none such */
  storageClass: KubeObject | undefined;
}

/** Smallest size by category; the zone may ask for more. @source ECS API, CreateDisk: `Size` */
const LEAST_GIB: Record<string, number> = {
  cloud_efficiency: 20,
  cloud_ssd: 20,
  cloud_auto: 1,
  cloud_essd_entry: 10,
  cloud_regional_disk_auto: 10,
};
const LEAST_ESSD_GIB: Record<string, number> = { PL0: 1, PL1: 20, PL2: 461, PL3: 1261 };
const ESSD = 'cloud_essd';

/** Lies in no zone; nodes of each zone of the region can attach it. @source ECS API, CreateDisk: `DiskCategory` */
export const isRegional = (category: string): boolean => category.startsWith('cloud_regional_');

/** Of a node, by category; the driver writes it. @source kubernetes-sigs/alibaba-cloud-csi-driver:pkg/disk/constants.go */
export const DISK_TYPE_LABEL = 'node.csi.alibabacloud.com/disktype.';

/**
 * The first category of the playbook's preference, else of the class, else what the disk is now, that the zone sells and that a node there
 * can attach.
 *
 * @returns the place, and what the operator should know of it
 * @throws MigrateError PLAN_ZONE_UNCLEAR, PLAN_DISK_UNFIT
 */
export function placeFor(choice: Choice): { place: Place; notes: string[] } {
  const { claim, disk, rule } = choice;
  if (rule?.sizeGiB !== undefined && rule.sizeGiB < disk.sizeGiB)
    throw unfit(
      claim,
      `${rule.sizeGiB} GiB are asked for, and disk ${disk.id} has ${disk.sizeGiB}`,
      'A disk is never made smaller: raise `sizeGiB` of its rule, or leave it out.',
    );
  const refused: string[] = [];
  for (const wish of wishesOf(choice)) {
    const found = tryWish(wish, choice);
    if (typeof found === 'string') refused.push(found);
    else return { place: found, notes: raised(found, choice) };
  }
  throw unfit(
    claim,
    refused.join('; ') || 'no category is known for it',
    'Name another category or zone in `data.disks` (docs/disks.md), or add nodes that take one of these.',
  );
}

interface Wish {
  category: string;
  /** in order of preference; none but for ESSDs */
  levels: string[];
}

function wishesOf({ disk, rule, data, storageClass }: Choice): Wish[] {
  const { type, performanceLevel }: Record<string, unknown> = storageClass?.['parameters'] ?? {};
  const ofClass = storageClass ? categoriesOf(type) : [];
  const categories =
    rule?.category !== undefined
      ? [rule.category]
      : data.disks.categories.length > 0
        ? data.disks.categories
        : [...ofClass, disk.category];
  const levels =
    rule?.performanceLevel !== undefined
      ? [rule.performanceLevel]
      : typeof performanceLevel === 'string' && performanceLevel !== ''
        ? performanceLevel.split(',').map((it) => it.trim())
        : [disk.performanceLevel ?? 'PL1'];
  return [...new Set(categories)].map((category) => ({ category, levels: category === ESSD ? levels : [] }));
}

/** A class without a type, or of the old type `available`. @source kubernetes-sigs/alibaba-cloud-csi-driver:pkg/disk/utils.go (validateDiskType) */
const categoriesOf = (type: unknown): string[] =>
  typeof type !== 'string' || type === '' || type === 'available'
    ? ['cloud_ssd', 'cloud_efficiency']
    : type
        .split(',')
        .map((it) => it.trim())
        .filter((it) => it !== '');

/** @returns the place, or why there is none */
function tryWish({ category, levels }: Wish, choice: Choice): Place | string {
  const { disk, rule, cloud, target } = choice;
  const nodes = readyNodes(target);
  const zone = isRegional(category) ? '' : zoneFor(choice);
  const where = zone || (cloud.sold ?? []).map((it) => it.zone).join(', ');
  const offers = zone === '' ? (cloud.sold ?? []).flatMap((it) => it.disks) : soldIn(zone, choice);
  const offer = offers.find((it) => it.category === category);
  if (!offer) return `${category} is not sold in ${where || 'any zone that was seen'}, which has ${namesOf(offers)}`;
  const near = zone === '' ? nodes : nodes.filter((it) => zoneOf(it) === zone);
  if (near.length > 0 && nodes.some(tellsTypes) && !near.some((it) => takes(it, category)))
    return `no ready node in ${where} can attach ${category}; they take ${takenBy(near)}`;
  const least = (level: string | undefined) =>
    level === undefined ? Math.max(LEAST_GIB[category] ?? 1, offer.minGiB) : (LEAST_ESSD_GIB[level] ?? offer.minGiB);
  const asked = Math.max(disk.sizeGiB, rule?.sizeGiB ?? 0);
  const performanceLevel = levels.find((it) => least(it) <= asked) ?? levels[0];
  const sizeGiB = Math.max(asked, least(performanceLevel));
  if (sizeGiB > offer.maxGiB) return `${category} goes up to ${offer.maxGiB} GiB, and ${sizeGiB} are needed`;
  return { zone, category, sizeGiB, ...(performanceLevel !== undefined && { performanceLevel }) };
}

const readyNodes = (target: ClusterInventory) => (target.objects['Node'] ?? []).filter(isReady);

const typesOf = (node: KubeObject): string[] =>
  Object.keys(node.metadata.labels ?? {}).flatMap((it) =>
    it.startsWith(DISK_TYPE_LABEL) ? [it.slice(DISK_TYPE_LABEL.length)] : [],
  );

/** Whether the driver has said of a node what it can attach. */
export const tellsTypes = (node: KubeObject): boolean => typesOf(node).length > 0;

const takes = (node: KubeObject, category: string): boolean => typesOf(node).includes(category);

const takenBy = (nodes: readonly KubeObject[]) => [...new Set(nodes.flatMap(typesOf))].sort().join(', ') || 'none';

const namesOf = (offers: readonly SoldDisks[]) => [...new Set(offers.map((it) => it.category))].join(', ') || 'none';

function soldIn(zone: string, { claim, cloud }: Choice): SoldDisks[] {
  const found = cloud.sold?.find((it) => it.zone === zone);
  if (found) return found.disks;
  const why = cloud.unseen.find((it) => it.what === soldLabel(zone))?.why ?? 'it was not asked';
  throw unfit(
    claim,
    `what zone ${zone} sells is not known: ${why}`,
    'Check the zone, and let the cloud identity call ecs:DescribeAvailableResource.',
  );
}

/** How the look names what it could not see. */
export const soldLabel = (zone: string): string => `disks for sale in ${zone}`;

function raised({ category, performanceLevel, sizeGiB }: Place, { claim, disk, rule }: Choice): string[] {
  if (sizeGiB === Math.max(disk.sizeGiB, rule?.sizeGiB ?? 0)) return [];
  const what = performanceLevel === undefined ? category : `${category} ${performanceLevel}`;
  return [
    `Claim ${claim}: ${disk.sizeGiB} GiB become ${sizeGiB}, for ${what} is not sold smaller; the file system on it keeps its size until it is grown.`,
  ];
}

/** Zones of the target's ready nodes. */
export const zonesOf = (target: ClusterInventory): string[] =>
  [...new Set(readyNodes(target).flatMap((it) => zoneOf(it) ?? []))].sort();

/** Zones in which a plan may make disks: what they sell is to be looked up. */
export const zonesFor = ({ disks, zone }: PlaybookData, target: ClusterInventory): string[] =>
  [
    ...new Set([
      ...zonesOf(target),
      ...Object.values(disks.zones),
      ...disks.rules.flatMap((it) => it.zone ?? []),
      ...(zone === undefined ? [] : [zone]),
    ]),
  ].sort();

/**
 * By the claim's rule, by the old disk's zone, by the playbook, or the only zone that there is.
 * @throws MigrateError PLAN_ZONE_UNCLEAR
 */
function zoneFor({ claim, disk, rule, data, target }: Choice): string {
  const named = namedZone(disk.zone, rule, data);
  if (named !== undefined) return named;
  const zones = zonesOf(target);
  const [only] = zones;
  if (only !== undefined && zones.length === 1) return only;
  throw new MigrateError('PLAN_ZONE_UNCLEAR', {
    what: `The zone for the new disk of claim ${claim} is not clear: ready nodes of the target are in ${zones.length > 1 ? `${count(zones.length, 'zone')}, ${zones.join(', ')}` : 'no known zone'}.`,
    why: 'A disk lives in one zone, and its pod can only run there.',
    fix: `Name the zone: \`data.zone\` for all, \`data.disks.zones: { ${disk.zone || 'OLD'}: NEW }\` by the zone of the old disk, or \`zone\` in a rule for this claim.`,
  });
}

/** What the playbook says of the zone of a new disk. @param old  zone of the source's disk */
export const namedZone = (old: string, rule: DiskRule | undefined, { disks, zone }: PlaybookData): string | undefined =>
  rule?.zone ?? disks.zones[old] ?? zone;
