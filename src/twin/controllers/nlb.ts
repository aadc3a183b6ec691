import type { ClusterApi, Json, TwinCloud, TwinObject } from '../types.js';
import { ccmCloud, isCloudError, TAG_CLUSTER, TAG_MADE } from './ccm-cloud.js';
import {
  annotation,
  defaultName,
  isBeingRemoved,
  overridesListeners,
  reusesLoadBalancer,
  serviceHash,
} from './ccm-model.js';
import { splitKey } from './follow.js';
import { nlbCloud, type NlbGroupSeen, type NlbListenerSeen, type NlbSeen } from './nlb-cloud.js';
import {
  isNlbOwn,
  isNlbSigned,
  needsNlb,
  NLB_FINALIZER,
  nlbDifference,
  nlbGroupIds,
  nlbProtocolOf,
  type NlbWantedGroup,
  wantedNlbGroup,
} from './nlb-model.js';
import { type ControllerClock, isWorthRetrying, NotNow } from './queue.js';
import { eventRecorder } from './record.js';
import { type CcmOptions, type LoopKind, slicesResource, startServiceLoop } from './service-loop.js';
import { openGates, plugInterfaces } from './service-pods.js';

const HASH_LABEL = 'service.beta.kubernetes.io/hash';
const LOAD_BALANCER_LABEL = 'service.k8s.alibaba/loadbalancer-id';
const GATED_RETRY_MS = 10_000;

const NLB: LoopKind = { component: 'nlb-controller', needs: needsNlb, finalizer: NLB_FINALIZER };

/**
 * The network load balancer loop of Alibaba's cloud controller manager: Services of class `alibabacloud.com/nlb`.
 *
 * Unlike the classic loop, a value that it refuses stops the whole Service and changes nothing; and it takes no mark on a load
 * balancer that it reuses.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/nlbv2
 */
export function startNlb(
  api: ClusterApi,
  clock: ControllerClock,
  cloud: TwinCloud,
  options: CcmOptions,
): Promise<{ stop(): void }> {
  const own = { ...options, seed: `${options.seed ?? 0}/nlb` };
  return startServiceLoop(api, clock, NLB, own, nlbReconciler(api, clock, cloud, options));
}

/** Runs all and throws the first failure that another try may mend: the tasks go on side by side. */
async function allOf(tasks: (() => Promise<void>)[]): Promise<void> {
  let failed: unknown;
  for (const task of tasks) {
    try {
      await task();
    } catch (error) {
      if (!isWorthRetrying(error)) throw error;
      failed ??= error;
    }
  }
  if (failed) throw failed;
}

function nlbReconciler(
  api: ClusterApi,
  clock: ControllerClock,
  cloud: TwinCloud,
  options: CcmOptions,
): (key: string) => Promise<number | void> {
  const nlb = nlbCloud(cloud, options, options.vpc);
  const record = eventRecorder(api, clock, NLB.component);

  const checkReusedGroup = async (service: TwinObject, id: string, type: string | undefined): Promise<void> => {
    const lb = annotation(service, 'id');
    const found = await nlb.group(id, service);
    if (!found) throw new NotNow(`cannot find server group id ${id} for nlb ${lb}`);
    if (isNlbSigned(found.name)) throw new NotNow(`cannot reuse a ccm created server group ${id} for nlb ${lb}`);
    if (type !== undefined && type !== found.type)
      throw new NotNow(`ServerGroupType of user managed server group ${id} should be [${type}], but [${found.type}]`);
  };

  const wantedGroups = async (service: TwinObject): Promise<{ groups: NlbWantedGroup[]; moreToCome: boolean }> => {
    const nodes = (await api.list('v1/nodes')).toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const slices = (await api.list(slicesResource(api), service.metadata.namespace)).filter(
      (it) => it.metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name,
    );
    const groups: NlbWantedGroup[] = [];
    let moreToCome = false;
    for (const port of service['spec'].ports ?? []) {
      const wanted = await wantedNlbGroup(service, port, options, nodes, { slices, pods: api });
      if (wanted.group.id !== undefined) await checkReusedGroup(service, wanted.group.id, wanted.group.type);
      if (wanted.group.members.length === 0)
        await record(
          service,
          'Normal',
          'UnAvailableLoadBalancer',
          'There are no available nodes for NetworkLoadBalancer',
        );
      groups.push(wanted.group);
      moreToCome ||= wanted.moreToCome;
    }
    await plugInterfaces(ccmCloud(cloud, options, options.vpc), record, service, groups);
    return { groups, moreToCome };
  };

  /** Those with the controller's tags, then those that the annotation names: one may come twice. */
  const readGroups = async (service: TwinObject): Promise<NlbGroupSeen[]> => {
    const groups = await nlb.ownGroups(service);
    for (const id of nlbGroupIds(service)) {
      const found = await nlb.group(id, service);
      if (!found) throw new NotNow(`DescribeVServerGroups error: reused server group id ${id} not found`);
      groups.push(found);
    }
    return groups;
  };

  const syncGroup = async (service: TwinObject, wanted: NlbWantedGroup, live: NlbGroupSeen): Promise<void> => {
    const isReused = wanted.id !== undefined;
    const { add, remove, set } = nlbDifference(wanted, live.members);
    await allOf([
      async () => {
        if (!isReused) await nlb.updateGroup(service, live);
      },
      () => nlb.addMembers(live.id, add),
      () => nlb.removeMembers(live.id, remove),
      () => nlb.setMembers(live.id, set),
    ]);
  };

  /** Brings each wanted group in step, made anew where it is missing. @returns ids by name of the group */
  const syncGroups = async (
    service: TwinObject,
    lb: NlbSeen,
    wanted: NlbWantedGroup[],
    live: NlbGroupSeen[],
    ids: Map<string, string>,
  ): Promise<void> => {
    const done = new Set<string>();
    await allOf(
      wanted.map((group) => async () => {
        // Two ports on one group: only the first is served.
        const key = group.id ?? group.name;
        const found = live.find((it) => (group.id === undefined ? it.name === group.name : it.id === group.id));
        if (found) ids.set(group.name, found.id);
        if (group.invalid || done.has(key)) return;
        done.add(key);
        if (found && (group.type === undefined || group.type === found.type)) return syncGroup(service, group, found);
        const id = await nlb.createGroup(service, group, lb.vpc);
        ids.set(group.name, id);
        await nlb.addMembers(id, group.members);
      }),
    );
  };

  const syncListeners = async (
    service: TwinObject,
    lb: string,
    ids: Map<string, string>,
    wanted: NlbWantedGroup[],
    live: NlbListenerSeen[],
  ): Promise<void> => {
    const ports: Json[] = isBeingRemoved(service) ? [] : (service['spec'].ports ?? []);
    const at = (port: Json, it: NlbListenerSeen): boolean =>
      it.port === port.port && it.protocol === nlbProtocolOf(service, port);
    const removed = live.filter(
      (it) =>
        !ports.some((port) => at(port, it)) &&
        (!reusesLoadBalancer(service) || isNlbOwn(it.description, service, options)),
    );
    await allOf([
      ...removed.map((it) => () => nlb.deleteListener(it)),
      ...ports.map((port) => async () => {
        const group = wanted.find(
          (it) => it.servicePort.port === port.port && it.servicePort.protocol === port.protocol,
        );
        const id = group && (group.id ?? ids.get(group.name));
        if (id === undefined || group?.invalid) return;
        const found = live.find((it) => at(port, it));
        if (found) await nlb.updateListener(service, port, id, found);
        else await nlb.createListener(service, lb, port, id);
      }),
    ]);
  };

  /** Groups that nothing wants any more: own ones go if they hold nobody else's members, from others only own members go. */
  const cleanup = async (service: TwinObject, keep: ReadonlySet<string>, live: NlbGroupSeen[]): Promise<void> => {
    const preserves = annotation(service, 'preserve-lb-on-delete') !== '' && isBeingRemoved(service);
    const deleted: string[] = [];
    for (const group of live) {
      if (keep.has(group.id)) continue;
      if (preserves && !reusesLoadBalancer(service)) {
        await nlb.untagGroup(group.id);
        continue;
      }
      const isForeign = group.members.some((it) => !it.own) || nlbGroupIds(service).includes(group.id);
      if (isNlbOwn(group.name, service, options) && !isForeign) deleted.push(group.id);
      else
        await nlb.removeMembers(
          group.id,
          group.members.filter((it) => it.own),
        );
    }
    await allOf(deleted.map((id) => () => nlb.deleteGroup(id)));
  };

  const checkReusable = (service: TwinObject, lb: NlbSeen): void => {
    const refuse = (why: string): never => {
      throw new NotNow(`update nlb attribute error: the loadbalancer ${lb.id} can not be reused, ${why}`);
    };
    if (TAG_MADE in lb.tags || TAG_CLUSTER in lb.tags) refuse('can not reuse loadbalancer created by kubernetes.');
    const ingress: Json[] = service['status']?.loadBalancer?.ingress ?? [];
    if (ingress.length > 0 && !ingress.some((it) => it.hostname === lb.dnsName))
      refuse(
        `service has been associated with dnsname [${ingress[0].hostname ?? ''}], cannot be bound to dnsname [${lb.dnsName}]`,
      );
  };

  const ensureLoadBalancer = async (service: TwinObject, hashChanged: boolean): Promise<NlbSeen> => {
    const found = await nlb.find(service);
    if (found) return found;
    if (!hashChanged)
      throw new NotNow(`alicloud: can not find loadbalancer by tag [${TAG_MADE}:${defaultName(service)}]`);
    const ingress: Json[] = service['status']?.loadBalancer?.ingress ?? [];
    if (ingress.length > 0)
      throw new NotNow(
        "alicloud: can not find loadbalancer, but it's defined in service, this may happen when you delete the loadbalancer",
      );
    await nlb.create(service);
    const made = await nlb.find(service);
    if (!made) throw new NotNow('create nlb error: it can not be found');
    return made;
  };

  const apply = async (
    service: TwinObject,
    hashChanged: boolean,
  ): Promise<{ lb: NlbSeen; moreToCome: boolean; invalid: boolean }> => {
    const isReused = reusesLoadBalancer(service);
    if (!isReused && annotation(service, 'zone-maps') === '')
      throw new NotNow('build lb local model error: ParameterMissing, zone mappings are required');
    const { groups, moreToCome } = await wantedGroups(service);
    const lb = await ensureLoadBalancer(service, hashChanged);
    const live = await readGroups(service);
    const managesListeners = hashChanged && (!isReused || overridesListeners(service));
    const listeners = managesListeners ? await nlb.listeners(lb.id) : [];
    if (hashChanged && isReused) checkReusable(service, lb);
    const ids = new Map<string, string>();
    await allOf([
      async () => {
        if (hashChanged) await nlb.update(service, lb);
      },
      () => syncGroups(service, lb, groups, live, ids),
      async () => {
        if (managesListeners) await syncListeners(service, lb.id, ids, groups, listeners);
      },
    ]);
    if (hashChanged) await cleanup(service, new Set(groups.map((it) => it.id ?? ids.get(it.name) ?? '')), live);
    return { lb, moreToCome, invalid: groups.some((it) => it.invalid) };
  };

  const remove = async (service: TwinObject): Promise<void> => {
    const isReused = reusesLoadBalancer(service);
    const lb = await nlb.find(service);
    if (!lb) return;
    const live = await readGroups(service);
    const preserves = !isReused && annotation(service, 'preserve-lb-on-delete') !== '';
    if (preserves) {
      await record(
        service,
        'Warning',
        'PreservedOnDelete',
        `The lb [${lb.id}] will be preserved after the service is deleted.`,
      );
      await nlb.release(lb);
    } else if (!isReused) await nlb.remove(lb);
    if (preserves || (isReused && overridesListeners(service)))
      await syncListeners(service, lb.id, new Map(), [], await nlb.listeners(lb.id));
    await cleanup(service, new Set(), live);
  };

  const cleanupService = async (service: TwinObject): Promise<void> => {
    if (service.metadata.finalizers?.includes(NLB_FINALIZER)) {
      try {
        await remove(service);
      } catch (error) {
        if (!isWorthRetrying(error)) throw error;
        if (!isCloudError(error) || error.code !== 'ResourceNotFound.loadBalancer') {
          await record(
            service,
            'Warning',
            'CleanLoadBalancerFailed',
            `Error deleting load balancer [${annotation(service, 'id')}]: ${error.message}`,
          );
          throw error;
        }
      }
      const { namespace, name } = service.metadata;
      await api.mergePatch('v1/services', namespace, name, {
        metadata: { labels: { [HASH_LABEL]: null, [LOAD_BALANCER_LABEL]: null } },
      });
      await api.mergePatch('v1/services', namespace, name, { status: { loadBalancer: { ingress: null } } }, 'status');
      const finalizers = service.metadata.finalizers.filter((it: string) => it !== NLB_FINALIZER);
      await api.mergePatch('v1/services', namespace, name, {
        metadata: { finalizers: finalizers.length > 0 ? finalizers : null },
      });
    }
    await record(service, 'Normal', 'CleanLoadBalancer', 'Clean load balancer');
  };

  const writeBack = async (service: TwinObject, lb: NlbSeen, hash: string): Promise<void> => {
    const { namespace, name, labels } = service.metadata;
    if (labels?.[HASH_LABEL] !== hash || labels?.[LOAD_BALANCER_LABEL] !== lb.id)
      await api.mergePatch('v1/services', namespace, name, {
        metadata: { labels: { [HASH_LABEL]: hash, [LOAD_BALANCER_LABEL]: lb.id } },
      });
    const live: Json[] = service['status']?.loadBalancer?.ingress ?? [];
    if (live.length !== 1 || live[0].hostname !== lb.dnsName)
      await api.mergePatch(
        'v1/services',
        namespace,
        name,
        { status: { loadBalancer: { ingress: [{ hostname: lb.dnsName }] } } },
        'status',
      );
  };

  const ensureService = async (service: TwinObject): Promise<number | void> => {
    const { namespace, name } = service.metadata;
    let finalizers: string[] = service.metadata.finalizers ?? [];
    if (!finalizers.includes(NLB_FINALIZER)) {
      finalizers = [...finalizers, NLB_FINALIZER];
      await api.mergePatch('v1/services', namespace, name, { metadata: { finalizers } });
    }
    const hash = serviceHash(service);
    try {
      const { lb, moreToCome, invalid } = await apply(service, service.metadata.labels?.[HASH_LABEL] !== hash);
      await openGates(api, clock, service);
      await writeBack(service, lb, hash);
      if (invalid) throw new NotNow('has invalid server in server groups');
      await record(service, 'Normal', 'EnsuredLoadBalancer', `Ensured load balancer [${lb.id}]`);
      return moreToCome ? GATED_RETRY_MS : undefined;
    } catch (error) {
      if (isWorthRetrying(error))
        await record(
          service,
          'Warning',
          'SyncLoadBalancerFailed',
          `Error syncing load balancer [${annotation(service, 'id')}]: ${error.message}`,
        );
      throw error;
    }
  };

  return async (key) => {
    const { namespace, name } = splitKey(key);
    const service = await api.get('v1/services', namespace, name);
    if (!service) return;
    if (isBeingRemoved(service) || !needsNlb(service)) await cleanupService(service);
    else return ensureService(service);
  };
}
