import { Unknown, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import { about, some } from '../about.js';
import { dataPath, type DataPath } from '../config-maps.js';
import { containers, WORKLOADS, workloadFields, workloads, type PodSpec } from '../pods.js';

/**
 * Cilium, and Terway's DataPathV2 that is made of it, translate addresses of Services in eBPF: at connect() or where a packet leaves its
 * pod, beside kube-proxy or in its place. A socket keeps the pod that was chosen for it, no iptables chain of kube-proxy is there, node
 * ports answer on the devices that are listed, and whether a call to a load balancer's address stays inside is a setting.
 *
 * @source cilium/cilium:Documentation/network/kubernetes/kubeproxy-free.rst (socket load balancing, devices, known limitations)
 * @source AliyunContainerService/terway:cmd/terway-cli/policy.go, policy/cilium (in_cluster_loadbalance)
 */
export const ebpfProxy: Check = {
  id: 'ebpf-proxy',
  group: 'load-balancing',
  asks: 'Where eBPF takes kube-proxy’s place on one side, does the other’s traffic still work?',
  before: 'data',
  severity: 'warn',
  reads: { source: ['ConfigMap', 'Service', ...WORKLOADS], target: ['ConfigMap'] },
  also: { source: ['Node', 'DaemonSet.apps'], target: ['Node', 'DaemonSet.apps'] },
  takes: {
    ...workloadFields([
      'spec.containers.securityContext.capabilities.add',
      'spec.initContainers.securityContext.capabilities.add',
    ]),
    ConfigMap: 'named',
    Service: ['spec.type', 'spec.sessionAffinity'],
    'DaemonSet.apps': ['status.desiredNumberScheduled', 'spec.template.spec'],
  },
  hint: {
    why: 'eBPF chooses the pod once for each socket and keeps its own tables: chains of iptables are not there, node ports answer on listed devices alone, and calls to a load balancer’s address stay inside or leave by a setting of the plug-in.',
    fix: 'Try the callers on a target node (`migrate preflight --probe` asks the ways through a Service); name the devices of node ports; set in_cluster_loadbalance as the callers need it.',
  },
  zh: {
    asks: '一侧由 eBPF 替代 kube-proxy 时，另一侧的流量能否照常工作？',
    why: 'eBPF 按套接字选择后端并维护自己的表：没有 iptables 链，NodePort 只在指定网卡上应答，访问负载均衡地址的流量留在集群内还是出去，取决于插件设置。',
    fix: '在目标节点上试运行调用方（migrate preflight --probe 会逐一测试访问方式）；为 NodePort 指定网卡；按调用方需要设置 in_cluster_loadbalance。',
  },
  sources: [
    'cilium/cilium:Documentation/network/kubernetes/kubeproxy-free.rst',
    'AliyunContainerService/terway:cmd/terway-cli/policy.go',
    'https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/faq-about-network-management',
  ],

  look(sight) {
    const [here, there] = [dataPath(sight.source), dataPath(sight.target)];
    if (there.replaces === 'unclear')
      throw new Unknown(`target: ${there.from} says kube-proxy-replacement: ${there.said}`);
    return [
      ...served(there, sight.target),
      ...(there.replaces === 'all' && here.replaces !== 'all'
        ? [...chains(there, sight), ...devices(there, sight)]
        : []),
      ...sockets(here, there, sight),
      ...shortcut(here, there, sight),
    ];
  },
};

/** Two that both answer, or none that does. */
function served({ replaces, from }: DataPath, target: SideSight): Finding[] {
  const proxies = target
    .seen('DaemonSet.apps', ['kube-system'])
    ?.filter((it) => /^kube-proxy(?:-worker)?$/.test(it.metadata.name));
  const running = proxies?.filter((it) => (it['status']?.desiredNumberScheduled ?? 1) > 0);
  if (replaces !== 'all' || running === undefined || running.length === 0) return [];
  return [
    {
      about: 'target kube-proxy',
      saw: `${about(running[0]!)} runs although ${from} takes its place`,
      want: 'one of the two',
      breaks: 'rules of both: which of them answers depends on where a packet comes by',
      fix: 'Take kube-proxy away where the plug-in replaces it, or tell the plug-in not to.',
    },
  ];
}

/** What writes or reads chains of iptables expects those of kube-proxy. */
function chains({ from }: DataPath, { source, namespaces }: Sight): Finding[] {
  const filters = (spec: PodSpec) =>
    containers(spec).some((it) => it.securityContext?.capabilities?.add?.includes('NET_ADMIN'));
  return workloads(source, namespaces)
    .filter((it) => filters(it.spec))
    .map(({ object }) => ({
      about: about(object),
      saw: `capability NET_ADMIN; in the target no kube-proxy writes iptables (${from})`,
      breaks: 'what looks for its chains, or redirects packets that a socket has already sent elsewhere',
    }));
}

/** Without a list the plug-in takes the devices that it finds, and leaves out those that come later. */
function devices({ from, devices: listed }: DataPath, { source, namespaces }: Sight): Finding[] {
  if (listed === undefined) return [];
  const open = source
    .list('Service', namespaces)
    .filter((it) => it['spec']?.type === 'NodePort')
    .map((it) => about(it));
  return open.length === 0
    ? []
    : [
        {
          about: 'target node ports',
          saw: `${from} answers for them on devices ${listed}; ${some(open)}`,
          want: 'each device at which they are called',
          breaks: 'callers that come by another device of the node',
        },
      ];
}

/** The pod is chosen in connect(), and for a socket of UDP once for all that it sends. */
function sockets(here: DataPath, there: DataPath, { source, namespaces }: Sight): Finding[] {
  if (!there.sockets || here.sockets) return [];
  const udp = source
    .list('Service', namespaces)
    .filter((it) => it['spec']?.sessionAffinity === 'ClientIP')
    .map((it) => about(it));
  return udp.length === 0
    ? []
    : [
        {
          about: 'target session affinity',
          saw: `${some(udp)}: ClientIP; ${there.from} chooses at connect(), where a caller has no address yet`,
          want: 'callers that keep their connection',
          breaks:
            'inside the target affinity goes by the network namespace of the caller, and no longer by its address',
        },
      ];
}

/** kube-proxy keeps calls to a load balancer's address inside; DataPathV2 only when it is told to. */
function shortcut(here: DataPath, there: DataPath, { source, namespaces, playbook }: Sight): Finding[] {
  if (there.shortcut === here.shortcut || !playbook.traffic) return [];
  const shared = source
    .list('Service', namespaces)
    .filter((it) => it['spec']?.type === 'LoadBalancer')
    .map((it) => about(it));
  if (shared.length === 0) return [];
  return [
    {
      about: 'target calls to load-balancer addresses',
      saw: there.shortcut
        ? `${there.from} keeps them inside the target, which the source did not; ${some(shared)}`
        : `${there.from} lets them out (in_cluster_loadbalance is not "true"), which the source kept inside; ${some(shared)}`,
      want: 'callers that use the Service’s name',
      breaks: there.shortcut
        ? 'weights, ACLs and TLS of the load balancer no longer count for callers inside'
        : 'callers inside that rested on it: what a load balancer does for a caller that is its own member is not promised',
      fix: 'Let them call the Service by its cluster name, or set in_cluster_loadbalance in ConfigMap kube-system/eni-config as on the source.',
    },
  ];
}
