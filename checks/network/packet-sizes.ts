import { Unknown, type Check, type Finding, type Sight } from '../../src/check.js';
import { about } from '../about.js';
import { flannelBackend } from '../config-maps.js';
import { pluginOf } from '../networks.js';
import { EACH_WORKLOAD, textsOf, WORKLOADS, workloads } from '../pods.js';

/**
 * A tunnel takes its share of every packet: 1450 bytes are left of 1500 under VXLAN, all of them on the VPC’s own network. What
 * was set by hand for one is wrong on the other. How large a packet gets through for certain, only one that is sent tells.
 *
 * @source flannel-io/flannel:Documentation/backends.md, AliyunContainerService/terway:docs
 */
export const packetSizes: Check = {
  id: 'packet-sizes',
  group: 'network',
  asks: 'Has anything that moves a packet size set by hand, where the two networks differ in theirs?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'ConfigMap', 'DaemonSet.apps'], target: ['ConfigMap', 'DaemonSet.apps'] },
  takes: { ...EACH_WORKLOAD, ConfigMap: 'named' },
  hint: {
    why: 'Packets that are too large vanish: a connection opens, and stalls after its first bytes.',
    fix: 'Let the interface say the MTU; where it must be set, set what the target’s network has. Not seen here: what gets through; send a packet of full size from pod to pod, and to databases: `ping -M do -s 1472 ADDRESS`.',
  },
  zh: {
    asks: '两个集群网络的 MTU 不同时，是否有工作负载手工设置了包大小？',
    why: '过大的包会被丢弃：连接能建立，但传了开头几个字节就卡住。',
    fix: '不要写死 MTU，由网卡决定；必须设置时，按目标网络的值设置。此检查看不到实际能通过的包大小：请在 Pod 之间以及 Pod 到数据库之间执行 ping -M do -s 1472 地址。',
  },
  sources: ['flannel-io/flannel:Documentation/backends.md', 'AliyunContainerService/terway:docs'],

  look(sight) {
    const [here, there] = [networkOf('source', sight), networkOf('target', sight)];
    if (here !== undefined && here === there) return [];
    return workloads(sight.source, sight.namespaces).flatMap((it): Finding[] => {
      const set = textsOf(it).find(
        ({ at, text }) => /^env (\w+_)?(MTU|MSS)(_|$)/.test(at) || /^--?(mtu|mss)(=|$)/.test(text),
      );
      if (set === undefined) return [];
      if (here === undefined || there === undefined)
        throw new Unknown(
          `${about(it.object)}: ${set.at} sets a packet size, and nothing in kube-system tells the network of the ${here === undefined ? 'source' : 'target'}`,
        );
      return [
        {
          about: about(it.object),
          saw: `${set.at} sets a packet size; ${here} on the source, ${there} on the target`,
          want: 'what the target’s network has',
          breaks: 'large packets, or nothing but speed',
        },
      ];
    });
  },
};

/** `flannel vxlan`, `terway`; undefined when nothing tells */
function networkOf(side: 'source' | 'target', sight: Sight): string | undefined {
  const name = pluginOf(sight[side])?.name;
  return name === 'flannel' ? `flannel ${flannelBackend(sight[side]) ?? ''}`.trim() : name;
}
