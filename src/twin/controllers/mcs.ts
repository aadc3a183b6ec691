import type { ClusterApi, Json, TwinObject } from '../types.js';
import { follow, type Followed, keyOf, splitKey } from './follow.js';
import { type ControllerClock, workQueue } from './queue.js';
import { isoSeconds } from './record.js';
import { slicesResource } from './service-loop.js';

export const MULTI_CLUSTER_SERVICES = 'networking.one.alibabacloud.com/v1alpha1/multiclusterservices';

const DISPATCHER = 'endpointslice-dispatch-controller.karmada.io';
const FROM = 'endpointslice.karmada.io/provision-cluster';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const SERVICE_NAME = 'kubernetes.io/service-name';
const MADE_BY_FLEET = 'networking.one.alibabacloud.com/fleet-service';
/** From a change in a member to what it makes of it in another one. */
const DELAY_MS = 700;

type Side = 'source' | 'target';
const SIDES = ['source', 'target'] as const;

/** The definition that a Fleet has. There is no public one: fields as the vendor's examples use them and as Karmada's has them, without `types`. */
export const multiClusterServiceCrd = (): TwinObject => {
  const clusters = {
    type: 'array',
    items: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'multiclusterservices.networking.one.alibabacloud.com' },
    spec: {
      group: 'networking.one.alibabacloud.com',
      scope: 'Namespaced',
      names: {
        kind: 'MultiClusterService',
        listKind: 'MultiClusterServiceList',
        plural: 'multiclusterservices',
        singular: 'multiclusterservice',
        shortNames: ['mcs'],
      },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: { type: 'object', properties: { consumerClusters: clusters, providerClusters: clusters } },
                status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              },
            },
          },
        },
      ],
    },
  };
};

interface Member {
  api: ClusterApi;
  /** the cluster's id, by which the Fleet's objects name it */
  id: string;
  services: Followed;
  slices: Followed;
}

/**
 * What a Fleet makes of its MultiClusterServices: in every consumer the Service, and a copy of each slice that a provider's own controller
 * made. Never back to where it came from.
 *
 * @source vendor's pages of ACK One multi-cluster Services; karmada-io/karmada:pkg/controllers/multiclusterservice/endpointslice_dispatch_controller.go
 */
export async function startMultiClusterServices(
  fleet: ClusterApi,
  apis: Record<Side, ClusterApi>,
  clock: ControllerClock,
  ids: Record<Side, string>,
): Promise<{ stop(): void }> {
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  const add = (object: TwinObject, name: string = object.metadata.name): void =>
    queue.add(`${object.metadata.namespace ?? ''}/${name}`);
  const wanted = await follow(fleet, MULTI_CLUSTER_SERVICES, ({ object }) => queue.add(keyOf(object)));
  const open = async (side: Side): Promise<Member> => ({
    api: apis[side],
    id: ids[side],
    services: await follow(apis[side], 'v1/services', ({ object }) => add(object)),
    slices: await follow(apis[side], slicesResource(apis[side]), ({ object }) =>
      add(object, object.metadata.labels?.[SERVICE_NAME] ?? ''),
    ),
  });
  const members: Record<Side, Member> = { source: await open('source'), target: await open('target') };

  async function reconcile(key: string): Promise<void> {
    const { namespace = '', name } = splitKey(key);
    const object = wanted.get(namespace, name);
    const named = (list: string): string[] =>
      ((object?.['spec']?.[list] ?? []) as { name: string }[]).map((it) => it.name);
    const [consumers, providers] = [named('consumerClusters'), named('providerClusters')];
    for (const side of SIDES) {
      const consumer = members[side];
      const provider = members[side === 'source' ? 'target' : 'source'];
      const takes = consumers.includes(consumer.id) && providers.includes(provider.id);
      if (consumers.includes(consumer.id)) await ensureService(consumer, provider, namespace, name);
      await dispatch(consumer, provider, namespace, name, takes);
    }
    if (object) await say(object);
  }

  async function say(object: TwinObject): Promise<void> {
    const { namespace, name, generation } = object.metadata;
    if (object['status']?.observedGeneration === generation) return;
    const condition = (type: string): Json => ({
      type,
      status: 'True',
      reason: type,
      message: '',
      lastTransitionTime: isoSeconds(clock.now()),
    });
    const conditions = [condition('ServiceApplied'), condition('EndpointSliceDispatched')];
    const status = { conditions, observedGeneration: generation };
    wanted.note(await fleet.mergePatch(MULTI_CLUSTER_SERVICES, namespace, name, { status }, 'status'));
  }

  return {
    stop() {
      queue.stop();
      wanted.stop();
      for (const side of SIDES) {
        members[side].services.stop();
        members[side].slices.stop();
      }
    },
  };
}

/** A consumer that has no Service of the name gets one without selector. */
async function ensureService(consumer: Member, provider: Member, namespace: string, name: string): Promise<void> {
  const model = provider.services.get(namespace, name);
  if (consumer.services.get(namespace, name) || !model) return;
  const ports = (model['spec'].ports as Json[]).map(({ nodePort: _dropped, ...rest }) => rest);
  const made = await consumer.api.create('v1/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name, labels: { [MADE_BY_FLEET]: 'true' } },
    spec: { type: 'ClusterIP', ports },
  });
  consumer.services.note(made);
}

async function dispatch(
  consumer: Member,
  provider: Member,
  namespace: string,
  name: string,
  takes: boolean,
): Promise<void> {
  const resource = slicesResource(consumer.api);
  const of = (it: TwinObject): boolean => it.metadata.labels?.[SERVICE_NAME] === name;
  const own = takes ? provider.slices.all(namespace).filter((it) => of(it) && !isDispatched(it)) : [];
  const there = consumer.slices
    .all(namespace)
    .filter((it) => of(it) && isDispatched(it) && it.metadata.annotations?.[FROM] === provider.id);
  const wanted = new Map(own.map((it) => [`${provider.id}-${it.metadata.name}`, it]));

  for (const it of there)
    if (!wanted.has(it.metadata.name)) await consumer.api.delete(resource, namespace, it.metadata.name);
  for (const [copy, slice] of wanted) {
    const body = bodyOf(slice);
    const known = there.find((it) => it.metadata.name === copy);
    if (known && JSON.stringify(bodyOf(known)) === JSON.stringify(body)) continue;
    if (known) consumer.slices.note(await consumer.api.update(resource, { ...structuredClone(known), ...body }));
    else
      consumer.slices.note(
        await consumer.api.create(resource, {
          apiVersion: resource.split('/').slice(0, 2).join('/'),
          kind: 'EndpointSlice',
          metadata: {
            namespace,
            name: copy,
            labels: { [SERVICE_NAME]: name, [MANAGED_BY]: DISPATCHER },
            annotations: { [FROM]: provider.id },
          },
          ...body,
        }),
      );
  }
}

const isDispatched = (slice: TwinObject): boolean => slice.metadata.labels?.[MANAGED_BY] === DISPATCHER;

/** Nodes and objects of the other cluster mean nothing here. */
const bodyOf = (slice: TwinObject): { addressType: string; endpoints: Json[]; ports: Json[] } => ({
  addressType: slice['addressType'],
  endpoints: ((slice['endpoints'] ?? []) as Json[])
    .filter((it) => it.conditions?.ready !== false)
    .map(({ addresses }) => ({ addresses, conditions: { ready: true } })),
  ports: slice['ports'] ?? [],
});
