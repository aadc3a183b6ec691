import type { Check, Finding, SideSight } from '../../src/check.js';
import { about, some } from '../about.js';
import { kubeletSettings } from '../config-maps.js';
import { workloadFields, containers, WORKLOADS, workloads, type PodSpec } from '../pods.js';

/**
 * Kubelets decide what a pod may do on their node: which sysctls it may set, and which seccomp profile it gets when it names
 * none. Their settings can be read where kubeadm keeps them; elsewhere only a probe on a node tells.
 *
 * @source https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/, KEP-2413 (seccompDefault)
 */
export const kubelets: Check = {
  id: 'kubelets',
  group: 'runtime',
  asks: 'Do the target’s kubelets let moved pods do what the source’s let them do?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'ConfigMap'], target: ['ConfigMap'] },
  takes: {
    ...workloadFields([
      'spec.securityContext',
      'spec.containers.securityContext.seccompProfile',
      'spec.containers.securityContext.privileged',
      'spec.initContainers.securityContext.seccompProfile',
      'spec.initContainers.securityContext.privileged',
    ]),
    ConfigMap: 'named',
  },
  hint: {
    why: 'A pod with a sysctl that its kubelet does not allow is refused (SysctlForbidden); under seccompDefault a container that names no profile is confined.',
    fix: 'Allow the sysctls in the kubelet’s allowedUnsafeSysctls; name `seccompProfile: {type: Unconfined}` where confinement breaks something. Not seen here: kubelets whose settings are not in a ConfigMap kubelet-config; ask `kubectl get --raw /api/v1/nodes/NODE/proxy/configz`.',
  },
  zh: {
    asks: '目标集群的 kubelet 是否允许要迁移的 Pod 做源集群允许的事？',
    why: '使用了 kubelet 不允许的 sysctl，Pod 会被拒绝（SysctlForbidden）；启用 seccompDefault 后，未指定 profile 的容器会被限制系统调用。',
    fix: '在 kubelet 的 allowedUnsafeSysctls 中放行；确实受影响的容器显式写 seccompProfile: {type: Unconfined}。此检查看不到未存放在 kubelet-config 中的 kubelet 设置：请用 kubectl get --raw /api/v1/nodes/节点/proxy/configz 查看。',
  },
  sources: [
    'https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/',
    'KEP-2413 (kubernetes/enhancements)',
    'kubernetes/kubernetes:pkg/kubelet/sysctl/safe_sysctls.go',
  ],

  look({ source, target, namespaces }) {
    const pods = workloads(source, namespaces);
    const allowed = allowedSysctls(target);
    const sysctls = pods.flatMap(({ object, spec }): Finding[] => {
      const unsafe = (spec.securityContext?.sysctls ?? [])
        .map((it) => it.name)
        .filter((it) => !SAFE.has(it) && !allowed.some((one) => fits(it, one)));
      return unsafe.length === 0
        ? []
        : [
            {
              about: about(object),
              saw: `sysctl ${some(unsafe)}`,
              want: 'allowedUnsafeSysctls of the target’s kubelets to name it',
              breaks: 'its pods are refused where it is not allowed',
            },
          ];
    });
    const free = confines(target) && !confines(source) ? pods.filter((it) => isUnnamed(it.spec)) : [];
    if (free.length === 0) return sysctls;
    return [
      ...sysctls,
      {
        about: 'target kubelets',
        saw: `seccompDefault, which the source’s have not; no profile is named by ${some(free.map((it) => about(it.object)))}`,
        breaks: 'system calls that RuntimeDefault does not allow',
      },
    ];
  },
};

/** Of 1.32; each was taken in at some minor before. @source kubernetes/kubernetes:pkg/kubelet/sysctl/safe_sysctls.go */
const SAFE = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

const allowedSysctls = (side: SideSight): string[] => {
  const list = kubeletSettings(side)?.['allowedUnsafeSysctls'];
  return Array.isArray(list) ? list.map(String) : [];
};

const fits = (name: string, allowed: string) =>
  allowed.endsWith('*') ? name.startsWith(allowed.slice(0, -1)) : name === allowed;

const confines = (side: SideSight) => kubeletSettings(side)?.['seccompDefault'] === true;

const isUnnamed = (spec: PodSpec) =>
  !spec.securityContext?.seccompProfile &&
  containers(spec).some((it) => !it.securityContext?.seccompProfile && it.securityContext?.privileged !== true);
