import type { Check, Finding, Sight } from '../../src/check.js';
import { about } from '../about.js';
import { EACH_WORKLOAD, textsOf, WORKLOADS, workloads, type Workload } from '../pods.js';

/**
 * A pod's token is signed by its cluster and names it as issuer. Whoever checks it elsewhere (Vault, a cloud's role for
 * service accounts) trusts the old cluster's key and has not heard of the new one.
 *
 * @source KEP-1205 (bound tokens, default from 1.21), https://developer.hashicorp.com/vault/docs/auth/kubernetes
 */
export const boundTokens: Check = {
  id: 'bound-tokens',
  group: 'identity',
  asks: 'Does anything outside the cluster check the tokens of moved pods?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'ServiceAccount'] },
  takes: { ...EACH_WORKLOAD, ServiceAccount: ['metadata.annotations'] },
  hint: {
    why: 'The target signs with another key under another issuer: logins with a pod’s token are refused until the other side knows it. From 1.21 on tokens are also renewed each hour, and must be read again.',
    fix: 'Add the target as a second issuer: a second Kubernetes auth mount in Vault, a second OIDC provider and trust policy for RRSA.',
  },
  zh: {
    asks: '集群外是否有系统校验这些 Pod 的 ServiceAccount 令牌？',
    why: '目标集群用另一把密钥、另一个 issuer 签发令牌：对方不认识它之前，登录都会被拒绝；1.21 起令牌还会每小时轮换，程序需要重新读取。',
    fix: '把目标集群登记为第二个签发者：Vault 新增一个 Kubernetes auth，RRSA 新增一个 OIDC 提供商和信任策略。',
  },
  sources: [
    'KEP-1205 (kubernetes/enhancements)',
    'https://developer.hashicorp.com/vault/docs/auth/kubernetes',
    'https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/use-rrsa-to-authorize-pods-to-access-different-cloud-services',
  ],

  look: (sight) =>
    workloads(sight.source, sight.namespaces).flatMap((it): Finding[] => {
      const saw = whoChecks(it, sight);
      return saw === undefined
        ? []
        : [
            {
              about: about(it.object),
              saw,
              want: 'the target’s issuer to be known there',
              breaks: 'its logins from the target',
            },
          ];
    }),
};

function whoChecks(it: Workload, { source }: Sight): string | undefined {
  const audience = (it.spec.volumes ?? [])
    .flatMap((one) => one.projected?.sources ?? [])
    .find((one) => one.serviceAccountToken?.audience)?.serviceAccountToken?.audience;
  if (audience !== undefined) return `a token for ${audience}`;
  const annotated = Object.keys(it.annotations).find((key) => key.startsWith('vault.hashicorp.com/'));
  if (annotated !== undefined) return `annotation ${annotated}`;
  const env = textsOf(it).find(({ at }) =>
    /^env (VAULT_(ADDR|ROLE)|ALIBABA_CLOUD_(OIDC|ROLE)_|AWS_ROLE_ARN|AWS_WEB_IDENTITY)/.test(at),
  );
  if (env) return env.at;
  const account = source.get('ServiceAccount', it.object.metadata.namespace, it.spec.serviceAccountName ?? 'default');
  const role = Object.keys(account?.metadata.annotations ?? {}).find((key) =>
    /^pod-identity\.alibabacloud\.com\/role-name$|^eks\.amazonaws\.com\/role-arn$/.test(key),
  );
  return role === undefined ? undefined : `annotation ${role} of service account ${account?.metadata.name}`;
}
