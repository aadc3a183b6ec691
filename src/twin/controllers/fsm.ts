import type { ClusterApi, Json, TwinObject } from '../types.js';
import { FSM_GROUPS } from './fsm-crds.js';
import { follow, type Followed } from './follow.js';
import { type ControllerClock, workQueue } from './queue.js';
import { isoSeconds } from './record.js';

const DELAY_MS = 800;

type Side = 'source' | 'target';
const SIDES = ['source', 'target'] as const;

/** Which of the group's two names a cluster serves; undefined: no Flomesh there. */
export const fsmGroup = (api: ClusterApi): (typeof FSM_GROUPS)[number] | undefined =>
  FSM_GROUPS.find((it) => api.serves(`${it}/v1alpha1/serviceexports`));

export const fsmResource = (api: ClusterApi, plural: string): string =>
  `${fsmGroup(api) ?? FSM_GROUPS[0]}/v1alpha1/${plural}`;

interface Member {
  api: ClusterApi;
  side: Side;
  /** the clusters that this one knows, itself among them */
  clusters: Followed;
  exports: Followed;
  imports: Followed;
  services: Followed;
}

/** `region/zone/group/name`, the names as a Cluster has them */
export const clusterKey = ({ metadata, spec }: TwinObject): string =>
  [spec?.region ?? 'default', spec?.zone ?? 'default', spec?.group ?? 'default', metadata.name].join('/');

/**
 * Flomesh's control plane over two joined clusters: an export makes the Service known in the other one, with one endpoint per cluster that
 * exports it, its gateway. Which cluster a Cluster object means is told by its gatewayHost: the address of a node, or of a load balancer,
 * does not matter here; a Cluster named after a side's context in the seed is that side.
 *
 * @source flomesh-io/fsm:pkg/controllers/mcs, pkg/mcs/remote, pkg/multicluster
 */
export async function startFsm(
  apis: Record<Side, ClusterApi>,
  clock: ControllerClock,
  names: Record<Side, string>,
): Promise<{ stop(): void }> {
  if (!SIDES.every((it) => fsmGroup(apis[it]))) return { stop() {} };
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  const open = async (side: Side): Promise<Member> => {
    const api = apis[side];
    const all = (): void => {
      for (const it of members)
        for (const one of it.exports.all()) queue.add(`${one.metadata.namespace}/${one.metadata.name}`);
    };
    return {
      api,
      side,
      clusters: await follow(api, fsmResource(api, 'clusters'), ({ object }) => {
        queue.add(`cluster/${side}/${object.metadata.name}`);
        all();
      }),
      exports: await follow(api, fsmResource(api, 'serviceexports'), ({ object }) =>
        queue.add(`${object.metadata.namespace}/${object.metadata.name}`),
      ),
      imports: await follow(api, fsmResource(api, 'serviceimports')),
      services: await follow(api, 'v1/services'),
    };
  };
  const members: Member[] = [];
  for (const side of SIDES) members.push(await open(side));

  async function reconcile(key: string): Promise<void> {
    const [first = '', second = '', third = ''] = key.split('/');
    if (first === 'cluster') {
      const member = members.find((it) => it.side === second);
      if (member) await manage(member, third);
      return;
    }
    for (const member of members) await check(member, first, second);
    for (const member of members) await importInto(member, first, second);
  }

  async function manage({ api, clusters }: Member, name: string): Promise<void> {
    const found = clusters.get(undefined, name);
    if (!found || conditionOf(found, 'Managed') === 'True') return;
    const conditions = [
      { type: 'Managed', status: 'True', reason: 'Success', lastTransitionTime: isoSeconds(clock.now()) },
    ];
    const resource = fsmResource(api, 'clusters');
    clusters.note(await api.mergePatch(resource, undefined, name, { status: { conditions } }, 'status'));
  }

  /** An export of a Service that there is not is not valid. */
  async function check({ api, exports, services }: Member, namespace: string, name: string): Promise<void> {
    const found = exports.get(namespace, name);
    if (!found) return;
    const status = services.get(namespace, name) ? 'True' : 'False';
    if (conditionOf(found, 'Valid') === status) return;
    const conditions = [
      {
        type: 'Valid',
        status,
        reason: status === 'True' ? 'Success' : 'Failed',
        lastTransitionTime: isoSeconds(clock.now()),
      },
      { type: 'Conflict', status: 'False', reason: 'Success', lastTransitionTime: isoSeconds(clock.now()) },
    ];
    exports.note(
      await api.mergePatch(fsmResource(api, 'serviceexports'), namespace, name, { status: { conditions } }, 'status'),
    );
  }

  /** The other clusters' exports, as one import. */
  async function importInto(member: Member, namespace: string, name: string): Promise<void> {
    const resource = fsmResource(member.api, 'serviceimports');
    const known = member.imports.get(namespace, name);
    const endpoints: Json[] = [];
    let ports: Json[] = [];
    for (const other of members) {
      if (other === member) continue;
      const exported = other.exports.get(namespace, name);
      const service = other.services.get(namespace, name);
      const cluster = member.clusters.get(undefined, names[other.side]);
      if (!exported || !service || !cluster || conditionOf(exported, 'Valid') !== 'True') continue;
      ports = service['spec'].ports;
      const { gatewayHost = '', gatewayPort = 80 } = cluster['spec'] ?? {};
      endpoints.push({
        clusterKey: clusterKey(cluster),
        target: {
          host: gatewayHost,
          ip: gatewayHost,
          port: gatewayPort,
          path: exported['spec'].rules[0]?.path ?? '/',
        },
      });
    }
    if (endpoints.length === 0) {
      if (known) await member.api.delete(resource, namespace, name);
      return;
    }
    const spec = {
      type: 'ClusterSetIP',
      ports: ports.map((it) => ({
        ...(it.name === undefined ? {} : { name: it.name }),
        port: it.port,
        protocol: it.protocol ?? 'TCP',
        endpoints,
      })),
    };
    if (known && JSON.stringify(known['spec']) === JSON.stringify(spec)) return;
    if (known) member.imports.note(await member.api.update(resource, { ...structuredClone(known), spec }));
    else if (await member.api.get('v1/namespaces', undefined, namespace))
      member.imports.note(
        await member.api.create(resource, {
          apiVersion: resource.split('/').slice(0, 2).join('/'),
          kind: 'ServiceImport',
          metadata: { namespace, name },
          spec,
        }),
      );
  }

  return {
    stop() {
      queue.stop();
      for (const it of members) for (const one of [it.clusters, it.exports, it.imports, it.services]) one.stop();
    },
  };
}

const conditionOf = (object: TwinObject, type: string): string | undefined =>
  ((object['status']?.conditions ?? []) as Json[]).find((it) => it.type === type)?.status;
