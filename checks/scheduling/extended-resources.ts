import type { Check, Finding } from '../../src/check.js';
import { about, some } from '../about.js';
import { usableNodes } from '../nodes.js';
import { WORKLOADS, workloads, EACH_WORKLOAD } from '../pods.js';
import { amount, extended } from '../quantities.js';

/**
 * GPUs, huge pages, network interfaces: what a device plug-in offers is there only where that plug-in runs. A pod that asks
 * for a resource which no node has stays Pending.
 *
 * @source https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources
 */
export const extendedResources: Check = {
  id: 'extended-resources',
  group: 'scheduling',
  asks: 'Do target nodes offer the special resources that moved pods ask for?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: WORKLOADS, target: ['Node'] },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'A resource that no node offers leaves the pod Pending.',
    fix: 'Install the device plug-in on the target’s nodes, or take the request out of the template: aliyun/eni belongs to a mode of Terway.',
  },
  zh: {
    asks: '要迁移的 Pod 请求的特殊资源（GPU、大页、弹性网卡等），目标节点是否提供？',
    why: '没有节点提供的资源会让 Pod 一直 Pending。',
    fix: '在目标节点安装相应的设备插件；或从模板中去掉该请求，例如 aliyun/eni 只属于 Terway 的某种模式。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources',
    'AliyunContainerService/terway:deviceplugin',
  ],

  look({ source, target, namespaces }) {
    const offered = new Set(
      usableNodes(target).flatMap((it) =>
        Object.entries(it['status']?.allocatable ?? {}).flatMap(([key, value]) => (amount(value) > 0 ? [key] : [])),
      ),
    );
    return workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
      const missing = extended(spec).filter((it) => !offered.has(it));
      return missing.length === 0
        ? []
        : [
            {
              about: about(object),
              saw: `no ready node of the target offers ${some(missing)}`,
              want: some(missing),
              breaks: 'its pods stay Pending',
            },
          ];
    });
  },
};
