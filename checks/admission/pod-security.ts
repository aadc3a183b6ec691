import type { Check, Finding, Sight } from '../../src/check.js';
import { about, some } from '../about.js';
import { containers, WORKLOADS, workloads, type Workload, EACH_WORKLOAD } from '../pods.js';

/** Of bare pods, which are wanted all at once, for the policies that let them in. */
const POD_FIELDS = [
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'securityContext',
  'volumes.hostPath',
  'containers.securityContext',
  'containers.ports.hostPort',
  'initContainers.securityContext',
  'initContainers.ports.hostPort',
].map((it) => `spec.${it}`);

/**
 * Pod security policies ended with 1.25. Their successor works by labels of namespaces, it only refuses and never fills in,
 * and it looks at each pod as it is created: a workload that it does not let in is restored, and has no pods.
 *
 * @source https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export const podSecurity: Check = {
  id: 'pod-security',
  group: 'admission',
  asks: 'Does the pod security of the target let every moved pod in, and does nothing rest on the old policies?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Namespace', PSP()], target: ['Namespace'] },
  takes: { ...EACH_WORKLOAD, Pod: ['metadata.annotations[kubernetes.io/psp]', ...POD_FIELDS] },
  hint: {
    why: 'Pods that a namespace’s level does not allow are refused one by one, while their Deployment looks restored. And what an old policy used to fill in (user, seccomp, capabilities) nobody fills in any more.',
    fix: 'Label the namespace with the level that its pods need, or change the pods; write what the policy filled in into their securityContext.',
  },
  zh: {
    asks: '目标集群的 Pod 安全级别是否允许所有要迁移的 Pod？是否还依赖旧的 PodSecurityPolicy？',
    why: '命名空间的级别不允许的 Pod 会被逐个拒绝，而 Deployment 看上去已恢复；旧策略自动补上的用户、seccomp、capabilities 也不会再补。',
    fix: '给命名空间打上其 Pod 所需级别的标签，或修改 Pod；把原来由策略补上的内容写进 securityContext。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/security/pod-security-standards/',
    'KEP-2579 (kubernetes/enhancements)',
    'kubernetes/pod-security-admission:policy',
  ],

  look: (sight) => [...sight.namespaces.flatMap((it) => ofNamespace(it, sight)), ...filledIn(sight)],
};

function PSP() {
  return 'PodSecurityPolicy.policy';
}

const ENFORCE = 'pod-security.kubernetes.io/enforce';

function ofNamespace(name: string, { source, target }: Sight): Finding[] {
  if (target.minor() < 23) return []; // off by default
  const own = target.get('Namespace', undefined, name) ?? source.get('Namespace', undefined, name);
  const level = own?.metadata.labels?.[ENFORCE];
  if (level !== 'baseline' && level !== 'restricted') return [];
  return workloads(source, [name]).flatMap((it): Finding[] => {
    const broken = [...againstBaseline(it), ...(level === 'restricted' ? againstRestricted(it) : [])];
    return broken.length === 0
      ? []
      : [
          {
            about: about(it.object),
            severity: 'refuse',
            saw: some(broken),
            want: `what ${ENFORCE}: ${level} of namespace ${name} allows`,
            breaks: 'its pods are refused',
          },
        ];
  });
}

/** @source kubernetes/pod-security-admission:policy/check_capabilities_baseline.go */
const BASELINE_CAPABILITIES = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(
    ' ',
  ),
);

function againstBaseline({ spec }: Workload): string[] {
  const all = containers(spec);
  return [
    ...(['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((it) => spec[it] === true),
    ...(all.some((it) => it.securityContext?.privileged === true) ? ['a privileged container'] : []),
    ...all
      .flatMap((it) => it.securityContext?.capabilities?.add ?? [])
      .filter((it) => !BASELINE_CAPABILITIES.has(it))
      .map((it) => `capability ${it}`),
    ...(spec.volumes ?? []).flatMap((it) => (it.hostPath ? [`hostPath ${it.hostPath.path}`] : [])),
    ...(all.some((it) => (it.ports ?? []).some((port) => (port.hostPort ?? 0) > 0)) ? ['a host port'] : []),
    ...([spec.securityContext, ...all.map((it) => it.securityContext)].some(
      (it) => it?.seccompProfile?.type === 'Unconfined',
    )
      ? ['seccomp Unconfined']
      : []),
  ];
}

/** @source https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */
function againstRestricted({ spec }: Workload): string[] {
  const all = containers(spec);
  const each = (meets: (it: (typeof all)[number]) => boolean) => all.every(meets);
  const pod = spec.securityContext;
  const confined = (type: string | undefined) => type === 'RuntimeDefault' || type === 'Localhost';
  return [
    ...(each((it) => it.securityContext?.allowPrivilegeEscalation === false)
      ? []
      : ['allowPrivilegeEscalation is not false']),
    ...(each((it) => it.securityContext?.runAsNonRoot ?? pod?.runAsNonRoot ?? false)
      ? []
      : ['runAsNonRoot is not true']),
    ...(each((it) => (it.securityContext?.runAsUser ?? pod?.runAsUser) !== 0) ? [] : ['runAsUser is 0']),
    ...(each((it) => confined(it.securityContext?.seccompProfile?.type ?? pod?.seccompProfile?.type))
      ? []
      : ['no seccompProfile']),
    ...(each((it) => it.securityContext?.capabilities?.drop?.includes('ALL') ?? false)
      ? []
      : ['capabilities are not dropped']),
  ];
}

const CHANGES = ['defaultAddCapabilities', 'requiredDropCapabilities', 'defaultAllowPrivilegeEscalation'];
const RANGES = ['runAsUser', 'runAsGroup', 'supplementalGroups', 'fsGroup'];

/** A policy changes pods where it adds, drops or fills in; the pods say which policy let them in. */
function filledIn({ source, target, namespaces }: Sight): Finding[] {
  if (target.minor() < 25) return [];
  const users = source.list('Pod', namespaces);
  return source.list(PSP()).flatMap((it): Finding[] => {
    const spec = it['spec'] ?? {};
    const does = [
      ...CHANGES.filter((field) => field in spec),
      ...RANGES.filter((field) => spec[field]?.rule === 'MustRunAs'),
    ];
    const pods = users.filter((pod) => pod.metadata.annotations?.['kubernetes.io/psp'] === it.metadata.name);
    if (does.length === 0 || pods.length === 0) return [];
    return [
      {
        about: about(it),
        severity: 'warn',
        saw: `it sets ${some(does)} for ${some(pods.map((pod) => pod.metadata.name))}`,
        want: 'the same in the securityContext of their templates',
        breaks: 'the target fills in nothing: pods may run as root, or with more rights',
      },
    ];
  });
}
