import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import { about, some } from '../about.js';
import { imagesOf } from '../images.js';
import { EACH_WORKLOAD, WORKLOADS, workloads, type Workload } from '../pods.js';

/**
 * What opens a private registry is either a Secret that travels, or something of the cluster: Alibaba's credential helper
 * writes short-lived ones into each service account, and those are of no use a few hours later.
 *
 * @source https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/use-the-aliyun-acr-credential-helper-component-to-pull-images-without-a-secret
 */
export const pullSecrets: Check = {
  id: 'pull-secrets',
  group: 'images',
  asks: 'Will the target have what opens the private registries?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {
    source: [...WORKLOADS, 'Secret', 'ServiceAccount', 'Deployment.apps'],
    target: ['Secret', 'Deployment.apps'],
  },
  takes: { ...EACH_WORKLOAD, Secret: [], ServiceAccount: ['imagePullSecrets'] },
  hint: {
    why: 'Without its credentials a node cannot pull: ErrImagePull, after the restore has said Completed.',
    fix: 'Install aliyun-acr-credential-helper on the target, with the target’s role; create the pull secrets that are missing.',
  },
  zh: {
    asks: '目标集群是否具备拉取私有镜像所需的凭据？',
    why: '没有凭据节点就拉不到镜像：恢复显示 Completed，Pod 却停在 ErrImagePull。',
    fix: '在目标集群安装 aliyun-acr-credential-helper 并授权；补上缺少的 imagePullSecrets。',
  },
  sources: [
    'https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/',
    'https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/use-the-aliyun-acr-credential-helper-component-to-pull-images-without-a-secret',
  ],

  look(sight) {
    const helped = helper(sight.target);
    return workloads(sight.source, sight.namespaces).flatMap((it) => ofWorkload(it, helped, sight));
  },
};

/** Names that Alibaba's helper gives to what it writes. */
const HELPERS = /^acr-credential-/;

const helper = (side: SideSight) =>
  side
    .list('Deployment.apps', ['kube-system'])
    .some((it) => it.metadata.name.startsWith('aliyun-acr-credential-helper'));

const PRIVATE = /\.aliyuncs\.com$/;

function ofWorkload(it: Workload, helped: boolean, { source, target }: Sight): Finding[] {
  const namespace = it.object.metadata.namespace ?? '';
  const account = source.get('ServiceAccount', namespace, it.spec.serviceAccountName ?? 'default');
  const names = [
    ...new Set(
      [...(it.spec.imagePullSecrets ?? []), ...((account?.['imagePullSecrets'] ?? []) as { name: string }[])].map(
        (one) => one.name,
      ),
    ),
  ];
  const lasting = names.filter((name) => !HELPERS.test(name));
  const missing = lasting.filter(
    (name) => !source.get('Secret', namespace, name) && !target.get('Secret', namespace, name),
  );
  const found: Finding[] = [];
  if (missing.length > 0)
    found.push({
      about: about(it.object),
      severity: 'warn',
      saw: `it names pull secret ${some(missing)}, which neither side has`,
      want: some(missing),
      breaks: 'nothing new: what it opened, its nodes have without it, or not at all',
    });
  const needs = imagesOf(it).some((image) => PRIVATE.test(image.host));
  const lives =
    needs && lasting.length === missing.length && (names.some((name) => HELPERS.test(name)) || helper(source));
  if (lives && !helped)
    found.push({
      about: about(it.object),
      severity: 'refuse',
      saw: 'the source’s aliyun-acr-credential-helper opens its registry; the target has none',
      want: 'the helper on the target',
      breaks: 'its images cannot be pulled',
    });
  return found;
}
