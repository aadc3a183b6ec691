import type { Check, Finding, Sight } from '../../src/check.js';
import { about, some } from '../about.js';
import { EACH_WORKLOAD, containers, WORKLOADS, workloads, type Workload } from '../pods.js';

/**
 * Up to 1.23 each service account had a Secret with a token. It is signed by its own cluster, so it does not travel; and from
 * 1.24 on nobody makes another. What names such a Secret waits for it for ever.
 *
 * @source KEP-2799 (no more token Secrets from 1.24, unused ones are removed from 1.30)
 */
export const tokenSecrets: Check = {
  id: 'token-secrets',
  group: 'identity',
  asks: 'Does any workload name the token Secret of a service account?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Secret'], target: ['Secret'] },
  takes: {
    ...EACH_WORKLOAD,
    Secret: ['type', 'metadata.labels[kubernetes.io/legacy-token-invalid-since]', 'metadata.managedFields.manager'],
  },
  hint: {
    why: 'Tokens are signed by their cluster and stay there: a pod that mounts such a Secret does not start on the target.',
    fix: 'Use the token that is mounted anyway (or a projected serviceAccountToken); where a lasting one is needed, create a Secret of type kubernetes.io/service-account-token on the target.',
  },
  zh: {
    asks: '是否有工作负载直接引用 ServiceAccount 的 token Secret？',
    why: '令牌由所在集群签发，不会被迁移；引用该 Secret 的 Pod 在目标集群无法启动。',
    fix: '改用自动挂载的令牌或 projected serviceAccountToken；确需长期令牌的，在目标集群手工创建 kubernetes.io/service-account-token 类型的 Secret。',
  },
  sources: [
    'KEP-2799 (kubernetes/enhancements)',
    'https://kubernetes.io/docs/concepts/security/service-accounts/',
    'konveyor/crane:issues/484',
  ],

  look: (sight) => [...named(sight), ...handMade(sight)],
};

const TYPE = 'kubernetes.io/service-account-token';

function secretsOf({ spec }: Workload): string[] {
  const volumes = (spec.volumes ?? []).flatMap((it) =>
    [
      ...(it.secret?.optional === true ? [] : [it.secret?.secretName ?? []]),
      ...(it.projected?.sources ?? []).map((one) => one.secret?.name ?? []),
    ].flat(),
  );
  const env = containers(spec).flatMap((it) =>
    [
      ...(it.env ?? []).map((one) => one.valueFrom?.secretKeyRef?.name ?? []),
      ...(it.envFrom ?? []).map((one) => one.secretRef?.name ?? []),
    ].flat(),
  );
  return [...new Set([...volumes, ...env])];
}

function named({ source, target, namespaces }: Sight): Finding[] {
  return workloads(source, namespaces).flatMap((it): Finding[] => {
    const namespace = it.object.metadata.namespace ?? '';
    const tokens = secretsOf(it).filter(
      (name) => source.get('Secret', namespace, name)?.['type'] === TYPE && !target.get('Secret', namespace, name),
    );
    return tokens.length === 0
      ? []
      : [
          {
            about: about(it.object),
            severity: 'refuse',
            saw: `it names secret ${some(tokens)}, a token of the source`,
            want: 'a token of the target',
            breaks: 'its pods do not start',
          },
        ];
  });
}

/** Somebody made them on purpose, for use outside; and those that lie unused are taken away. */
function handMade({ source, target, namespaces }: Sight): Finding[] {
  const tokens = source.list('Secret', namespaces).filter((it) => it['type'] === TYPE);
  const invalid = tokens.filter((it) => it.metadata.labels?.['kubernetes.io/legacy-token-invalid-since'] !== undefined);
  const own = tokens.filter(
    (it) =>
      it.metadata.managedFields?.some((one) => /^(kubectl|helm|argocd|kustomize)/.test(one.manager ?? '')) &&
      !target.get('Secret', it.metadata.namespace, it.metadata.name),
  );
  return [
    ...invalid.map((it): Finding => ({
      about: about(it),
      severity: 'warn',
      saw: 'the source has declared it invalid, for nobody used it for a year',
      breaks: 'whoever still has it',
    })),
    ...own.map((it): Finding => ({
      about: about(it),
      severity: 'warn',
      saw: 'a token that somebody asked for; it stays on the source',
      want: 'one of the target',
      breaks: 'whoever uses it from outside: CI, monitoring',
    })),
  ];
}
