import { type Check, type Finding, type Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';

/**
 * An autoscaler that cannot read its metric, or does not find what it scales, leaves the number of pods as it is: the few
 * that a quiet hour had left. And one that stands at its maximum already has nothing to add when all traffic arrives.
 *
 * @source https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
 */
export const autoscaling: Check = {
  id: 'autoscaling',
  group: 'scheduling',
  asks: 'Can each autoscaler work on the target: its metrics, what it scales, and room up to its maximum?',
  before: 'traffic',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: [HPA()] },
  hint: {
    why: 'Without its metrics API or its target an autoscaler does nothing; at its maximum it can do nothing.',
    fix: 'Install metrics-server or the adapter on the target, correct scaleTargetRef.apiVersion, raise maxReplicas where it is reached.',
  },
  zh: {
    asks: '每个 HPA 在目标集群能否工作：指标、伸缩对象是否可用，上限是否还有余量？',
    why: '缺少指标 API 或找不到伸缩对象时，HPA 不起作用；已到上限的 HPA 无法再扩容。',
    fix: '在目标集群安装 metrics-server 或相应的适配器，修正 scaleTargetRef.apiVersion，调高已触顶的 maxReplicas。',
  },
  sources: [
    'https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/',
    'https://github.com/fluxcd/flagger/issues/1600',
  ],

  look: (sight) =>
    sight.source
      .list(HPA(), sight.namespaces)
      .flatMap((it) => [...ofMetrics(it, sight), ...ofTarget(it, sight), ...ofMaximum(it)]),
};

function HPA() {
  return 'HorizontalPodAutoscaler.autoscaling';
}

/** @source https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#support-for-metrics-apis */
const APIS: Record<string, string> = {
  Resource: 'metrics.k8s.io',
  ContainerResource: 'metrics.k8s.io',
  Pods: 'custom.metrics.k8s.io',
  Object: 'custom.metrics.k8s.io',
  External: 'external.metrics.k8s.io',
};

function ofMetrics(it: KubeObject, { target }: Sight): Finding[] {
  const groups = new Set(target.served().map((one) => one.group));
  const absent = typesOf(it).flatMap((type) =>
    APIS[type] !== undefined && !groups.has(APIS[type]) ? [APIS[type]] : [],
  );
  if (absent.length === 0) return [];
  return [
    {
      about: about(it),
      severity: 'refuse',
      saw: `the target does not serve ${some([...new Set(absent)])}`,
      want: 'it',
      breaks: 'it never scales',
    },
  ];
}

/** Read as autoscaling/v1 all but the use of CPU stands in an annotation. */
function typesOf({ spec, metadata }: KubeObject): string[] {
  const old = metadata.annotations?.['autoscaling.alpha.kubernetes.io/metrics'];
  const listed = [...((spec?.metrics ?? []) as { type: string }[]), ...(old === undefined ? [] : parsed(old))].map(
    (it) => it.type,
  );
  return spec?.targetCPUUtilizationPercentage === undefined ? listed : ['Resource', ...listed];
}

function parsed(text: string): { type: string }[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? (value as { type: string }[]) : [];
  } catch {
    return [];
  }
}

function ofTarget(it: KubeObject, { target }: Sight): Finding[] {
  const { apiVersion, kind, name } = it['spec']?.scaleTargetRef ?? {};
  if (
    !apiVersion ||
    target
      .served()
      .some((one) => one.kind === kind && (one.group ? `${one.group}/${one.version}` : one.version) === apiVersion)
  )
    return [];
  const want = target.served().find((one) => one.kind === kind && one.preferred);
  return [
    {
      about: about(it),
      severity: 'refuse',
      saw: `it scales ${kind} ${name} as ${apiVersion}`,
      want: want ? `${want.group}/${want.version}` : `a version of ${kind} that the target serves`,
      breaks: 'it never scales',
    },
  ];
}

function ofMaximum(it: KubeObject): Finding[] {
  const [now, most] = [Number(it['status']?.currentReplicas ?? 0), Number(it['spec']?.maxReplicas ?? Infinity)];
  if (now < most) return [];
  return [
    {
      about: about(it),
      severity: 'warn',
      saw: `at its maximum: ${now} of ${most}`,
      want: 'room to grow',
      breaks: 'a target that is slower by little has no answer to it',
    },
  ];
}
