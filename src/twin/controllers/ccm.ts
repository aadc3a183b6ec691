import type { ClusterApi, Json, TwinCloud, TwinObject } from '../types.js';
import {
  ccmCloud,
  type GroupSeen,
  isCloudError,
  type ListenerSeen,
  type LoadBalancerSeen,
  protocolOf,
  TAG_CLUSTER,
  TAG_MADE,
} from './ccm-cloud.js';
import {
  annotation,
  defaultName,
  difference,
  groupIds,
  isBeingRemoved,
  isOwn,
  needsClb,
  overridesListeners,
  reusesLoadBalancer,
  serviceHash,
  type WantedGroup,
  wantedGroup,
} from './ccm-model.js';
import { splitKey } from './follow.js';
import { type ControllerClock, isWorthRetrying, NotNow } from './queue.js';
import { eventRecorder } from './record.js';
import { type CcmOptions, type LoopKind, slicesResource, startServiceLoop } from './service-loop.js';
import { openGates, plugInterfaces } from './service-pods.js';
import { isAtLeast } from './weights.js';

export { type CcmOptions, slicesResource } from './service-loop.js';

export const SERVICE_FINALIZER = 'service.k8s.alibaba/resources';
export const HASH_LABEL = 'service.beta.kubernetes.io/hash';
export const LOAD_BALANCER_LABEL = 'service.k8s.alibaba/loadbalancer-id';

const GATED_RETRY_MS = 10_000;

const CLB: LoopKind = { component: 'service-controller', needs: needsClb, finalizer: SERVICE_FINALIZER };

/**
 * The classic load balancer loop of Alibaba's cloud controller manager: Services of type LoadBalancer, reused load balancers and server
 * groups, weights by annotation, and load balancers of its own making.
 *
 * It never polls the cloud: what others change there stays until the next event of the cluster, or a restart.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1
 */
export async function startCcm(
  api: ClusterApi,
  clock: ControllerClock,
  cloud: TwinCloud,
  options: CcmOptions,
): Promise<{ stop(): void }> {
  return startServiceLoop(api, clock, CLB, options, ccmReconciler(api, clock, cloud, options));
}

/** The reconcile of one Service; throws what will be tried again. */
function ccmReconciler(
  api: ClusterApi,
  clock: ControllerClock,
  cloud: TwinCloud,
  options: CcmOptions,
): (key: string) => Promise<number | void> {
  const slb = ccmCloud(cloud, options, options.vpc);
  const record = eventRecorder(api, clock, 'service-controller');
  const swallowsPortErrors = isAtLeast(options.version, '2.12.0');

  const readGroups = async (service: TwinObject, lb: string): Promise<GroupSeen[]> => {
    const reused = new Set(groupIds(service));
    const groups: GroupSeen[] = [];
    for (const { id, name } of await slb.groupNames(lb)) {
      const looks = reused.has(id) || isOwn(name, service, options);
      groups.push({ id, name, members: looks ? await slb.members(id, service) : [] });
    }
    return groups;
  };

  const checkReusedGroup = async (service: TwinObject, id: string): Promise<void> => {
    const lb = annotation(service, 'id');
    const found = (await slb.groupNames(lb)).find((it) => it.id === id);
    if (!found) throw new NotNow(`can not find vgroupId ${id} in lb ${lb}`);
    if (/^k8s(\/[^/]*){4}$/.test(found.name)) throw new NotNow(`cannot reuse a ccm created vgroup ${id} for slb ${lb}`);
  };

  const wantedGroups = async (service: TwinObject): Promise<{ groups: WantedGroup[]; moreToCome: boolean }> => {
    const nodes = (await api.list('v1/nodes')).toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const slices = (await api.list(slicesResource(api), service.metadata.namespace)).filter(
      (it) => it.metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name,
    );
    const groups: WantedGroup[] = [];
    let moreToCome = false;
    for (const port of service.spec.ports ?? []) {
      try {
        const wanted = await wantedGroup(service, port, options, nodes, { slices, pods: api });
        if (wanted.group.id !== undefined) await checkReusedGroup(service, wanted.group.id);
        if (wanted.group.members.length === 0)
          await record(service, 'Normal', 'UnAvailableLoadBalancer', 'There are no available nodes for LoadBalancer');
        groups.push(wanted.group);
        moreToCome ||= wanted.moreToCome;
      } catch (error) {
        // From v2.12 on a port that can't be built is left out of the model, and nobody hears of it.
        if (!swallowsPortErrors || !isWorthRetrying(error)) throw error;
      }
    }
    await plugInterfaces(slb, record, service, groups);
    return { groups, moreToCome };
  };

  const syncGroup = async (wanted: WantedGroup & { id: string }, live: GroupSeen): Promise<void> => {
    const { add, remove, set } = difference(wanted, live.members);
    const errors: unknown[] = [];
    const attempt = async (run: () => Promise<void>): Promise<unknown> => {
      try {
        await run();
        return undefined;
      } catch (error) {
        if (!isWorthRetrying(error)) throw error;
        return error;
      }
    };
    const added = await attempt(() => slb.addMembers(wanted.id, add));
    const overQuota = isCloudError(added) && added.code.includes('InstanceBackendServerNumberOverLimit');
    if (added && !overQuota) errors.push(added);
    if (wanted.invalid) throw errors[0] ?? new NotNow(`${wanted.name} has invalid backend in vservergroups`);
    errors.push(await attempt(() => slb.removeMembers(wanted.id, remove)));
    errors.push(await attempt(() => slb.setMembers(wanted.id, set)));
    if (overQuota) errors.push(await attempt(() => slb.addMembers(wanted.id, add)));
    const failed = errors.find((it) => it !== undefined);
    if (failed) throw failed;
  };

  /** Gives each wanted group the id of the live one, and brings that in step. */
  const syncGroups = async (lb: string, wanted: WantedGroup[], live: GroupSeen[]): Promise<void> => {
    const changed = new Set<string>();
    const errors: unknown[] = [];
    for (const group of wanted) {
      const found = live.find((it) => (group.id === undefined ? it.name === group.name : it.id === group.id));
      try {
        if (found) {
          group.id = found.id;
          // Two ports on one group: only the first that differs is brought in step.
          if (changed.has(found.id)) continue;
          const { add, remove, set } = difference(group, found.members);
          if (add.length + remove.length + set.length > 0) changed.add(found.id);
          await syncGroup({ ...group, id: found.id }, found);
        } else {
          group.id = await slb.createGroup(lb, group.name);
          live.push({ id: group.id, name: group.name, members: [] });
          if (group.members.length > 0) await slb.addMembers(group.id, group.members);
          if (group.invalid) throw new NotNow(`${group.name} has invalid backend in vservergroups`);
        }
      } catch (error) {
        if (!isWorthRetrying(error)) throw error;
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  };

  const syncListeners = async (
    service: TwinObject,
    lb: string,
    wanted: WantedGroup[],
    live: ListenerSeen[],
  ): Promise<void> => {
    const isRemoved = isBeingRemoved(service);
    const ports: Json[] = isRemoved ? [] : (service.spec.ports ?? []);
    const at = (port: Json, listener: ListenerSeen): boolean =>
      listener.port === port.port && listener.protocol === protocolOf(service, port);
    for (const listener of live)
      if (!ports.some((port) => at(port, listener)) && isOwn(listener.description, service, options))
        await slb.deleteListener(lb, listener);
    for (const port of ports) {
      const group = wanted.find((it) => it.servicePort.port === port.port && it.servicePort.protocol === port.protocol);
      if (group?.id === undefined) {
        await record(
          service,
          'Warning',
          'SkipSyncBackends',
          `skip listener ${protocolOf(service, port)}/${port.port}: its group can not be built`,
        );
        continue;
      }
      const found = live.find((it) => at(port, it));
      if (found) await slb.updateListener(service, lb, port, group.id, found);
      else await slb.createListener(service, lb, port, group.id);
    }
  };

  /** Groups that nothing wants any more: own ones go if they hold nobody else's members, from others only own members go. */
  const cleanup = async (service: TwinObject, wanted: WantedGroup[], live: GroupSeen[]): Promise<void> => {
    const errors: unknown[] = [];
    for (const group of live) {
      if (wanted.some((it) => it.id === group.id)) continue;
      try {
        const foreign = group.members.some((it) => !it.own);
        if (isOwn(group.name, service, options) && !foreign) await slb.deleteGroup(group.id);
        else
          await slb.removeMembers(
            group.id,
            group.members.filter((it) => it.own),
          );
      } catch (error) {
        if (!isWorthRetrying(error)) throw error;
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  };

  const checkReusable = (service: TwinObject, lb: LoadBalancerSeen): void => {
    const refuse = (why: string): never => {
      throw new NotNow(`alicloud: the loadbalancer ${lb.id} can not be reused, ${why}`);
    };
    if (TAG_MADE in lb.tags || TAG_CLUSTER in lb.tags) refuse('can not reuse loadbalancer created by kubernetes.');
    if (annotation(service, 'external-ip-type') === 'eip') return;
    const ingress: Json[] = service.status?.loadBalancer?.ingress ?? [];
    if (ingress.length > 0 && !ingress.some((it) => it.ip === lb.address || (it.hostname && !it.ip)))
      refuse(`service has been associated with ip [${ingress[0].ip}], cannot be bound to ip [${lb.address}]`);
  };

  const ensureLoadBalancer = async (service: TwinObject, hashChanged: boolean): Promise<LoadBalancerSeen> => {
    const found = await slb.find(service);
    const missing = (): NotNow =>
      new NotNow(`alicloud: can not find loadbalancer by tag [${TAG_MADE}:${defaultName(service)}]`);
    if (found) return found;
    if (!hashChanged) throw missing();
    const ingress: Json[] = service.status?.loadBalancer?.ingress ?? [];
    if (ingress.length > 0)
      throw new NotNow(
        `alicloud: can not find loadbalancer, but it's defined in service [${ingress[0].ip}] this may happen when you delete the loadbalancer`,
      );
    await slb.create(service);
    const made = await slb.find(service);
    if (!made) throw missing();
    return made;
  };

  const apply = async (
    service: TwinObject,
    hashChanged: boolean,
  ): Promise<{ lb: LoadBalancerSeen; moreToCome: boolean }> => {
    const reused = reusesLoadBalancer(service);
    const { groups, moreToCome } = await wantedGroups(service);
    const lb = await ensureLoadBalancer(service, hashChanged);
    const live = await readGroups(service, lb.id);
    const managesListeners = hashChanged && (!reused || overridesListeners(service));
    const listeners = managesListeners ? await slb.listeners(lb.id) : [];
    if (hashChanged && reused) checkReusable(service, lb);

    const tasks: (() => Promise<void>)[] = [];
    if (hashChanged) tasks.push(() => slb.update(service, lb, reused));
    tasks.push(() => syncGroups(lb.id, groups, live));
    if (managesListeners) tasks.push(() => syncListeners(service, lb.id, groups, listeners));
    let failed: unknown;
    for (const task of tasks) {
      try {
        await task();
      } catch (error) {
        // From v2.12 on these three run side by side; before, the first failure ends the reconcile.
        if (!swallowsPortErrors || !isWorthRetrying(error)) throw error;
        failed ??= error;
      }
    }
    if (failed) throw failed;
    if (hashChanged || !swallowsPortErrors) await cleanup(service, groups, live);
    return { lb, moreToCome };
  };

  const remove = async (service: TwinObject): Promise<void> => {
    const reused = reusesLoadBalancer(service);
    const lb = await slb.find(service);
    if (!lb) return;
    const preserves = !reused && annotation(service, 'preserve-lb-on-delete') !== '';
    if (!reused && !preserves) {
      await slb.remove(lb);
      return;
    }
    if (preserves) {
      await record(
        service,
        'Warning',
        'PreservedOnDelete',
        `The lb [${lb.id}] will be preserved after the service is deleted.`,
      );
      await slb.release(lb);
      if (!swallowsPortErrors) return;
    }
    // The load balancer is compared with an empty model, to which an IPv6 one doesn't fit: the Service hangs.
    if (swallowsPortErrors && reused && lb.raw.AddressIPVersion === 'ipv6')
      throw new NotNow('alicloud: can not change LoadBalancer AddressIPVersion once created');
    const live = await readGroups(service, lb.id);
    if (preserves || overridesListeners(service))
      await syncListeners(asRemoved(service), lb.id, [], await slb.listeners(lb.id));
    await cleanup(service, [], live);
  };

  const cleanupService = async (service: TwinObject): Promise<void> => {
    if (service.metadata.finalizers?.includes(SERVICE_FINALIZER)) {
      try {
        // Frozen by the annotation `class` and met again after a restart: it is brought in step once more before it is let go.
        if (isBeingRemoved(service)) await remove(service);
        else await apply(service, service.metadata.labels?.[HASH_LABEL] !== serviceHash(service));
      } catch (error) {
        if (!isWorthRetrying(error)) throw error;
        if (!isGone(error)) {
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
      const finalizers = service.metadata.finalizers.filter((it: string) => it !== SERVICE_FINALIZER);
      await api.mergePatch('v1/services', namespace, name, {
        metadata: { finalizers: finalizers.length > 0 ? finalizers : null },
      });
    }
    await record(service, 'Normal', 'CleanLoadBalancer', 'Clean load balancer');
  };

  /** The host name that an annotation says, else the elastic addresses if they are asked for, else the load balancer's own. */
  const ingressOf = async (service: TwinObject, lb: LoadBalancerSeen): Promise<Json[]> => {
    const hostname = annotation(service, 'hostname');
    if (hostname !== '') return [{ hostname }];
    if (annotation(service, 'external-ip-type') === 'eip') {
      const elastic = await slb.elasticAddresses(lb.id);
      if (elastic.length > 0) return elastic.map((ip) => ({ ip }));
      await record(service, 'Warning', 'FailedSetEIPAddress', 'get eip error, set external ip to slb ip');
    }
    return [{ ip: lb.address }];
  };

  const writeBack = async (service: TwinObject, lb: LoadBalancerSeen, hash: string): Promise<void> => {
    const { namespace, name, labels } = service.metadata;
    if (labels?.[HASH_LABEL] !== hash || labels?.[LOAD_BALANCER_LABEL] !== lb.id)
      await api.mergePatch('v1/services', namespace, name, {
        metadata: { labels: { [HASH_LABEL]: hash, [LOAD_BALANCER_LABEL]: lb.id } },
      });
    const ingress = await ingressOf(service, lb);
    const live: Json[] = service.status?.loadBalancer?.ingress ?? [];
    const keys = (entries: Json[]): string => JSON.stringify(entries.map((it) => [it.ip, it.hostname]));
    if (keys(live) !== keys(ingress))
      await api.mergePatch('v1/services', namespace, name, { status: { loadBalancer: { ingress } } }, 'status');
  };

  const ensureService = async (service: TwinObject): Promise<number | void> => {
    const { namespace, name } = service.metadata;
    let finalizers: string[] = service.metadata.finalizers ?? [];
    if (!finalizers.includes(SERVICE_FINALIZER)) {
      finalizers = [...finalizers, SERVICE_FINALIZER];
      await api.mergePatch('v1/services', namespace, name, { metadata: { finalizers } });
    }
    const hash = serviceHash(service);
    try {
      const { lb, moreToCome } = await apply(service, service.metadata.labels?.[HASH_LABEL] !== hash);
      await openGates(api, clock, service);
      await writeBack(service, lb, hash);
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
    if (isBeingRemoved(service) || !needsClb(service)) await cleanupService(service);
    else return ensureService(service);
  };
}

const isGone = (error: Error): boolean =>
  error.message.includes('LoadBalancerId does not exist') ||
  (isCloudError(error) && error.code === 'InvalidLoadBalancerId.NotFound');

const asRemoved = (service: TwinObject): TwinObject => ({ ...service, spec: { ...service.spec, type: 'ClusterIP' } });
