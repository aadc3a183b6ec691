import type { ClusterApi, Json, TwinClock, TwinObject } from '../types.js';
import { isInCidr } from './ccm-cloud.js';
import { gatedPods, gateOf } from './ccm-model.js';
import type { Recorder } from './record.js';

interface Plugged {
  members: { server: string; ip: string; type: string }[];
  invalid: boolean;
}

/** Interfaces' ids by address. An address outside the VPC is skipped, one inside without an interface makes its group invalid. */
export async function plugInterfaces(
  cloud: { interfaces(ips: string[]): Promise<Map<string, string>>; cidrs(): Promise<string[]> },
  record: Recorder,
  service: TwinObject,
  groups: Plugged[],
): Promise<void> {
  const ips = [
    ...new Set(groups.flatMap((it) => it.members.filter((member) => member.type === 'eni').map((member) => member.ip))),
  ];
  if (ips.length === 0) return;
  const ids = await cloud.interfaces(ips);
  const unknown = ips.filter((ip) => !ids.has(ip));
  const cidrs = unknown.length > 0 ? await cloud.cidrs() : [];
  const inVpc = new Set(unknown.filter((ip) => cidrs.some((cidr) => isInCidr(ip, cidr))));
  const outside = unknown.filter((ip) => !inVpc.has(ip));
  for (const group of groups) {
    group.invalid = group.members.some((it) => it.type === 'eni' && inVpc.has(it.ip));
    group.members = group.members
      .filter((it) => it.type !== 'eni' || ids.has(it.ip))
      .map((it) => ({ ...it, server: ids.get(it.ip) ?? it.server }));
  }
  if (outside.length > 0)
    await record(
      service,
      'Normal',
      'SkipSyncBackends',
      `Not sync pods [${outside.join(',')}] whose ip is not in vpc cidrs`,
    );
  if (inVpc.size > 0)
    await record(service, 'Warning', 'SkipSyncBackends', `can not find eniid for ip [${[...inVpc].join(',')}]`);
}

/** Pods that wait for the controller are told that the load balancer knows them. */
export async function openGates(api: ClusterApi, clock: TwinClock, service: TwinObject): Promise<void> {
  const gate = gateOf(service);
  for (const pod of gatedPods(service, await api.list('v1/pods', service.metadata.namespace))) {
    const conditions: Json[] = pod.status?.conditions ?? [];
    const known = conditions.find((it) => it.type === gate);
    if (known?.status === 'True' || !isSelected(service, pod)) continue;
    if (!conditions.some((it) => it.type === 'ContainersReady' && it.status === 'True')) continue;
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const opened = {
      type: gate,
      status: 'True',
      reason: 'ServerRegistered',
      message: 'The backend has been added to the server group',
      lastTransitionTime: now,
    };
    const patch = { status: { conditions: [...conditions.filter((it) => it.type !== gate), opened] } };
    await api.mergePatch('v1/pods', pod.metadata.namespace, pod.metadata.name, patch, 'status');
  }
}

const isSelected = (service: TwinObject, pod: TwinObject): boolean =>
  Object.entries(service.spec.selector ?? {}).every(([key, value]) => pod.metadata.labels?.[key] === value);
