import type { Check, Finding, Sight } from '../../src/check.js';
import { about, some } from '../about.js';
import { EACH_WORKLOAD, WORKLOADS, workloads } from '../pods.js';

/**
 * Secrets that come from somewhere else need that somewhere on the target too: the injector that puts them into pods, the
 * driver that mounts them, the key that opens a sealed one.
 *
 * @source https://github.com/bitnami-labs/sealed-secrets#re-encryption-advanced, https://secrets-store-csi-driver.sigs.k8s.io/
 */
export const secretSources: Check = {
  id: 'secret-sources',
  group: 'identity',
  asks: 'Are the sources of secrets (injectors, drivers, sealing keys) on the target too?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {
    source: [...WORKLOADS, 'SealedSecret.bitnami.com'],
    target: ['MutatingWebhookConfiguration.admissionregistration.k8s.io', 'CSIDriver.storage.k8s.io'],
  },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'Pods start without the secrets that an injector would have put in, or do not start without the driver that mounts them; a sealed secret opens only with the key of the cluster for which it was sealed.',
    fix: 'Install the same injectors and drivers on the target before the restore; copy the sealing keys, or seal the secrets anew.',
  },
  zh: {
    asks: '密钥的来源组件（注入器、CSI 驱动、SealedSecret 私钥）目标集群是否都有？',
    why: '没有注入器，Pod 会在缺少密钥的情况下启动；没有 CSI 驱动，Pod 无法启动；SealedSecret 只能用原集群的私钥解开。',
    fix: '恢复前先在目标集群安装相同的注入器和驱动；复制 SealedSecret 私钥，或重新加密。',
  },
  sources: [
    'https://github.com/bitnami-labs/sealed-secrets',
    'https://secrets-store-csi-driver.sigs.k8s.io/',
    'https://developer.hashicorp.com/vault/docs/platform/k8s/injector',
  ],

  look: (sight) => [...injected(sight), ...mounted(sight), ...sealed(sight)],
};

function injected({ source, target, namespaces }: Sight): Finding[] {
  const hooks = target
    .list('MutatingWebhookConfiguration.admissionregistration.k8s.io')
    .flatMap((it) => ((it['webhooks'] ?? []) as { name: string }[]).map((one) => one.name));
  if (hooks.some((it) => it.includes('vault'))) return [];
  return workloads(source, namespaces).flatMap((it): Finding[] =>
    it.annotations['vault.hashicorp.com/agent-inject'] === 'true'
      ? [
          {
            about: about(it.object),
            severity: 'refuse',
            saw: 'Vault’s agent is injected; the target has no injector',
            want: 'vault-k8s on the target',
            breaks: 'its pods start without their secrets',
          },
        ]
      : [],
  );
}

function mounted({ source, target, namespaces }: Sight): Finding[] {
  const drivers = target.list('CSIDriver.storage.k8s.io').map((it) => it.metadata.name);
  return workloads(source, namespaces).flatMap((it): Finding[] => {
    const missing = [...new Set((it.spec.volumes ?? []).flatMap((one) => one.csi?.driver ?? []))].filter(
      (one) => !drivers.includes(one),
    );
    return missing.length === 0
      ? []
      : [
          {
            about: about(it.object),
            severity: 'refuse',
            saw: `it mounts from ${some(missing)}; the target has ${some(drivers) || 'no CSI drivers'}`,
            want: some(missing),
            breaks: 'its pods do not start',
          },
        ];
  });
}

function sealed({ source, namespaces }: Sight): Finding[] {
  const all = source.list('SealedSecret.bitnami.com', namespaces);
  return all.length === 0
    ? []
    : [
        {
          about: 'sealed secrets',
          severity: 'warn',
          saw: `${some(all.map((it) => `${it.metadata.namespace}/${it.metadata.name}`))} are sealed for the source`,
          want: 'the source’s sealing keys on the target',
          breaks: 'they are not opened; the Secrets that a restore brings stay as they are',
        },
      ];
}
