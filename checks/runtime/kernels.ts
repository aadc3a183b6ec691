import { Unknown, type Check, type Finding, type SideSight } from '../../src/check.js';
import { about, some } from '../about.js';
import { proxyConfig } from '../config-maps.js';
import { usableNodes } from '../nodes.js';
import { EACH_WORKLOAD, containers, WORKLOADS, workloads, type PodSpec } from '../pods.js';

/**
 * What reaches into the kernel of its node depends on which one that is: modules, eBPF programs, and iptables rules, of which
 * a container's own tool may write those of another generation than the node reads.
 *
 * @source https://kubernetes.io/blog/2025/02/28/nftables-kube-proxy/
 */
export const kernels: Check = {
  id: 'kernels',
  group: 'runtime',
  asks: 'Does anything that moves reach into its node’s kernel, and is that another one?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Node', 'ConfigMap'], target: ['Node', 'ConfigMap'] },
  takes: { ...EACH_WORKLOAD, ConfigMap: 'named' },
  hint: {
    why: 'Kernel modules, eBPF programs and iptables rules of a container must fit the node’s kernel; under nftables the chains that such tools look for are not there.',
    fix: 'Try these workloads on a target node before the move, with images of the same age as the node.',
  },
  zh: {
    asks: '要迁移的工作负载是否会操作节点内核？目标节点的内核是否不同？',
    why: '容器里的内核模块、eBPF 程序和 iptables 规则必须与节点内核匹配；nftables 模式下，这类工具要找的链并不存在。',
    fix: '迁移前先在目标节点上试运行这些工作负载，并使用较新的镜像。',
  },
  sources: [
    'https://kubernetes.io/blog/2025/02/28/nftables-kube-proxy/',
    'KEP-3178 (kubernetes/enhancements)',
    'KEP-3866 (kubernetes/enhancements)',
  ],

  look({ source, target, namespaces }) {
    const [here, there] = [versionsOf(source), versionsOf(target)];
    const differs = here.length > 0 && there.some((it) => !here.includes(it));
    const chains = modeOf(target) === 'nftables' && modeOf(source) !== 'nftables';
    return workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
      const deep = reaches(spec);
      const filters = containers(spec).some((it) => it.securityContext?.capabilities?.add?.includes('NET_ADMIN'));
      if (deep.length > 0 && differs)
        return [
          {
            about: about(object),
            saw: `${some(deep)}; kernel ${some(there)} on the target`,
            want: `what works on ${some(here)} too`,
            breaks: 'modules and eBPF programs that were built for the old one',
          },
        ];
      return filters && chains
        ? [
            {
              about: about(object),
              saw: 'capability NET_ADMIN; the target’s kube-proxy writes nftables',
              breaks: 'what looks for its iptables chains',
            },
          ]
        : [];
    });
  },
};

/** `5.10`, sorted, each once. */
const versionsOf = (side: SideSight): string[] =>
  [
    ...new Set(
      usableNodes(side).flatMap(
        (it) => /^\d+\.\d+/.exec(String(it['status']?.nodeInfo?.kernelVersion ?? ''))?.[0] ?? [],
      ),
    ),
  ].sort();

const PATHS = ['/lib/modules', '/usr/src', '/sys/kernel', '/sys/fs/bpf', '/dev'];
const CAPABILITIES = ['SYS_MODULE', 'BPF', 'SYS_ADMIN'];

function reaches(spec: PodSpec): string[] {
  const paths = (spec.volumes ?? [])
    .flatMap((it) => it.hostPath?.path ?? [])
    .filter((it) => PATHS.some((one) => it === one || it.startsWith(`${one}/`)));
  const capabilities = containers(spec)
    .flatMap((it) => it.securityContext?.capabilities?.add ?? [])
    .filter((it) => CAPABILITIES.includes(it));
  return [
    ...paths.map((it) => `hostPath ${it}`),
    ...capabilities.map((it) => `capability ${it}`),
    ...(containers(spec).some((it) => it.securityContext?.privileged) ? ['a privileged container'] : []),
  ];
}

function modeOf(side: SideSight): string | undefined {
  try {
    return proxyConfig(side).mode;
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}
