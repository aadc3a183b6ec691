import type { Check, Finding, SideSight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { mayRunOn, usableNodes } from '../nodes.js';
import { WORKLOADS, workloads, EACH_WORKLOAD } from '../pods.js';

/**
 * An image runs on the architectures that it was built for. Only its registry knows which those are; but what runs now was
 * built at least for where it runs.
 *
 * @source https://kubernetes.io/docs/concepts/containers/images/#multi-architecture-images-with-image-indexes
 */
export const architectures: Check = {
  id: 'architectures',
  group: 'scheduling',
  asks: 'Do workloads run on the architectures and systems that they ran on before?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Node'], target: ['Node'] },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'On another architecture a container without an image for it ends at once: exec format error.',
    fix: 'Build the images for both architectures, or select nodes by kubernetes.io/arch in the template.',
  },
  zh: {
    asks: '工作负载在目标集群能否继续运行在原来的 CPU 架构和操作系统上？',
    why: '镜像没有对应架构的版本时，容器会立即退出（exec format error）。',
    fix: '构建多架构镜像，或在模板中用 kubernetes.io/arch 选择节点。',
  },
  sources: ['https://kubernetes.io/docs/concepts/containers/images/#multi-architecture-images-with-image-indexes'],

  look({ source, target, namespaces }) {
    const known = platforms(usableNodes(source));
    const there = usableNodes(target);
    if (known.size === 0) return [];
    return workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
      const fit = there.filter((it) => mayRunOn(spec, it));
      const strange = [...platforms(fit)].filter((it) => !known.has(it));
      if (strange.length === 0) return [];
      const none = fit.every((it) => strange.includes(platform(it)));
      return [
        {
          about: about(object),
          severity: none ? 'refuse' : 'warn',
          saw: `it may land on ${some(strange)}`,
          want: some([...known]),
          breaks: none
            ? 'its containers, unless its images are built for that too'
            : 'pods that land there, unless its images are built for that too',
        },
      ];
    });
  },
};

const platform = (node: KubeObject): string => {
  const { operatingSystem, architecture } = node['status']?.nodeInfo ?? {};
  const labels = node.metadata.labels ?? {};
  return `${operatingSystem ?? labels['kubernetes.io/os'] ?? labels['beta.kubernetes.io/os'] ?? 'linux'}/${architecture ?? labels['kubernetes.io/arch'] ?? labels['beta.kubernetes.io/arch'] ?? 'amd64'}`;
};

const platforms = (nodes: ReturnType<SideSight['list']>) => new Set(nodes.map(platform));
