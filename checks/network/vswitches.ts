import type { Check, Finding } from '../../src/check.js';
import { zoneOf } from '../../src/objects.js';
import { some } from '../about.js';
import { eniConfig } from '../config-maps.js';
import { usableNodes } from '../nodes.js';
import { amount } from '../quantities.js';

/**
 * Terway takes the addresses of pods from vSwitches, one list for each zone. A node in a zone without any gives its pods none.
 * How many addresses are free, only the cloud says.
 *
 * @source AliyunContainerService/terway:docs, types/daemon/config.go
 */
export const vswitches: Check = {
  id: 'vswitches',
  group: 'network',
  asks: 'Has every zone of the target’s nodes a vSwitch for pods?',
  before: 'data',
  severity: 'refuse',
  reads: { target: ['Node', 'ConfigMap'] },
  takes: { ConfigMap: 'named' },
  hint: {
    why: 'Pods on a node whose zone has no vSwitch in eni-config get no address and stay ContainerCreating.',
    fix: 'Add a vSwitch of that zone to `vswitches` in ConfigMap kube-system/eni-config. Not seen here: how many addresses each vSwitch has left; compare AvailableIpAddressCount of `aliyun vpc DescribeVSwitches` with the pods of the zone and max_pool_size for each node.',
  },
  zh: {
    asks: '目标节点所在的每个可用区，是否都为 Pod 配置了 vSwitch？',
    why: '节点所在可用区在 eni-config 中没有 vSwitch 时，Pod 分配不到地址，会停在 ContainerCreating。',
    fix: '在 kube-system/eni-config 的 vswitches 中加入该可用区的 vSwitch。此检查看不到 vSwitch 的剩余地址数：请用 aliyun vpc DescribeVSwitches 查看 AvailableIpAddressCount，并与该可用区的 Pod 数加每个节点的 max_pool_size 比较。',
  },
  sources: [
    'AliyunContainerService/terway:docs',
    'https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/work-with-terway',
  ],

  look({ target }) {
    const config = eniConfig(target);
    if (!config || Object.keys(config.vswitches).length === 0) return [];
    const nodes = usableNodes(target);
    const zones = [...new Set(nodes.flatMap((it) => zoneOf(it) ?? []))].sort();
    return zones
      .filter((it) => (config.vswitches[it] ?? []).length === 0)
      .map((zone): Finding => {
        const here = nodes.filter((it) => zoneOf(it) === zone);
        const pods = here.reduce((sum, it) => sum + amount(it['status']?.allocatable?.pods), 0);
        return {
          about: `zone ${zone}`,
          saw: `${here.length} nodes for ${pods} pods; eni-config has vSwitches in ${some(Object.keys(config.vswitches).sort())}`,
          want: `a vSwitch in ${zone}`,
          breaks: 'pods there get no address',
        };
      });
  },
};
