import { soldLabel } from '../disk-place.js';
import { MigrateError } from '../errors.js';
import type { CloudInventory, ClusterInventory, Inventory } from '../inventory.js';
import { canonical } from '../objects.js';
import type { Cloud, Cluster, KubeObject, ObjectRef, Side } from '../ports.js';
import { kindServed } from '../preflight.js';

/**
 * A side that was captured earlier, as the port of a cluster that answers reads: so that one side can be judged from a file while the
 * other is looked at now. What was not captured is not there to be read, which is unknown, never empty.
 */
export function capturedCluster(side: Side, seen: ClusterInventory): Cluster {
  const held = (kind: string): KubeObject[] => {
    const objects = seen.objects[kind];
    if (objects) return objects;
    const unseen = seen.unseen.find((it) => it.kind === kind);
    if (!unseen && !seen.served.some((it) => kindServed(it) === kind)) {
      throw new MigrateError('KUBE_NOT_SERVED', { what: `The captured ${side} does not serve ${kind}.` });
    }
    throw notCaptured(side, unseen?.why ?? `${kind} is not in the file`);
  };
  const list: Cluster['list'] = async (kind, { namespace, labels } = {}) => {
    const wanted = (labels ?? '')
      .split(',')
      .filter(Boolean)
      .map((it) => it.split('='));
    return held(kind)
      .filter((it) => namespace === undefined || it.metadata.namespace === namespace)
      .filter((it) => wanted.every(([key = '', value]) => it.metadata.labels?.[key] === value));
  };
  const refuse = async (): Promise<never> => {
    throw notCaptured(side, 'a file can only be read');
  };
  return {
    side,
    identify: async () => ({ uid: seen.uid, version: seen.version, server: seen.server }),
    served: async () => ({ kinds: seen.served, failed: [] }),
    list,
    async each(kind, options, take) {
      for (const it of await list(kind, options)) take(it, JSON.stringify(it).length);
    },
    get: async ({ kind, namespace, name }: ObjectRef) =>
      held(kind).find(
        (it) => it.metadata.name === name && (namespace === undefined || it.metadata.namespace === namespace),
      ),
    create: refuse,
    patch: refuse,
    apply: refuse,
    delete: refuse,
    dryRun: refuse,
    lines: refuse,
    async can(rights) {
      const asked = new Set(rights.map(canonical));
      return seen.rights.filter(({ allowed: _answer, ...right }) => asked.has(canonical(right)));
    },
  };
}

/** The cloud as it was captured; what is not in the file can't be told. */
export function capturedCloud(
  seen: CloudInventory | null,
): Pick<Cloud, 'loadBalancer' | 'disk' | 'sold' | 'securityGroup'> {
  const missing = (what: string): undefined => {
    const unseen = seen?.unseen.find((it) => it.what === what);
    if (unseen && 'absent' in unseen && unseen.absent) return undefined;
    throw new MigrateError('CLOUD_NOT_NAMED', {
      what: `${what} is not in the captured inventory.`,
      why: unseen?.why ?? 'It was not looked at then.',
      fix: 'Capture again with the playbook of today: `migrate inventory`.',
    });
  };
  return {
    loadBalancer: async (id) => seen?.loadBalancers.find((it) => it.id === id) ?? missing(id),
    disk: async (_region, id) => seen?.disks.find((it) => it.id === id) ?? missing(id),
    sold: async (_region, zone) => seen?.sold?.find((it) => it.zone === zone)?.disks ?? missing(soldLabel(zone)) ?? [],
    securityGroup: async (_region, id) => seen?.securityGroups?.find((it) => it.id === id) ?? missing(id),
  };
}

const notCaptured = (side: Side, why: string) =>
  new MigrateError('NOT_CAPTURED', {
    what: `The captured ${side} can't answer this: ${why}.`,
    why: 'It was not asked when the inventory was taken.',
    fix: `Capture it again, or look at the live ${side}: leave --${side} out.`,
  });

/** The sides that come from files, and the cloud where the file has it. */
export interface Captured {
  source?: ClusterInventory;
  target?: ClusterInventory;
  cloud?: CloudInventory | null;
}

export const sidesOf = (source: Inventory | undefined, target: Inventory | undefined): Captured => ({
  ...(source && { source: source.source, cloud: source.cloud }),
  ...(target && { target: target.target }),
});
