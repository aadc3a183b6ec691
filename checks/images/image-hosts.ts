import type { Check, Finding, Severity, Sight } from '../../src/check.js';
import { about } from '../about.js';
import { imagesOf } from '../images.js';
import { regionOf, usableNodes } from '../nodes.js';
import { EACH_WORKLOAD, WORKLOADS, workloads } from '../pods.js';

/**
 * Some addresses of registries reach only as far as one network: the inner ones of another region do not answer at all. And
 * k8s.gcr.io has been frozen since April 2023. Whether an image can be pulled for certain, only a pull tells.
 *
 * @source https://www.alibabacloud.com/help/en/acr/user-guide/configure-access-over-vpcs
 * @source https://kubernetes.io/blog/2023/02/06/k8s-gcr-io-freeze-announcement/
 */
export const imageHosts: Check = {
  id: 'image-hosts',
  group: 'images',
  asks: 'Can the target’s nodes reach the registries that the images name?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: WORKLOADS, target: ['Node'] },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'The VPC address of a registry answers in its own region alone; an old or frozen registry may be gone tomorrow.',
    fix: 'Name the registry of the target’s region in the templates, or the public address; registry.k8s.io in place of k8s.gcr.io. Not seen here: whether a pull succeeds; start one pod of each registry on a target node.',
  },
  zh: {
    asks: '目标节点能否访问镜像所在的仓库？',
    why: '镜像仓库的 VPC 地址只在本地域可达；已冻结的旧仓库随时可能失效。',
    fix: '模板中改用目标地域的仓库或公网地址；k8s.gcr.io 改为 registry.k8s.io。此检查看不到实际拉取是否成功：请在目标节点上为每个仓库试运行一个 Pod。',
  },
  sources: [
    'https://www.alibabacloud.com/help/en/acr/user-guide/configure-access-over-vpcs',
    'https://kubernetes.io/blog/2023/02/06/k8s-gcr-io-freeze-announcement/',
    'https://github.com/vmware-tanzu/velero/issues/2460',
  ],

  look(sight) {
    const region = regionOfTarget(sight);
    return workloads(sight.source, sight.namespaces).flatMap((it): Finding[] => {
      const hosts = [...new Set(imagesOf(it).map((image) => image.host))];
      return hosts.flatMap((host) => {
        const trouble = troubleWith(host, region);
        return trouble
          ? [
              {
                about: about(it.object),
                severity: trouble.severity,
                saw: `images from ${host}`,
                want: trouble.want,
                breaks: trouble.breaks,
              },
            ]
          : [];
      });
    });
  },
};

/** By the playbook, else by the nodes when they are all in one. */
function regionOfTarget({ playbook, target }: Sight): string | undefined {
  const seen = [...new Set(usableNodes(target).flatMap((it) => regionOf(it) ?? []))];
  return playbook.cloud?.targetRegion ?? (seen.length === 1 ? seen[0] : playbook.cloud?.region);
}

/** `registry-vpc.cn-x.aliyuncs.com`, `name-registry-vpc.cn-x.cr.aliyuncs.com`, `registry-internal.cn-x.aliyuncs.com` */
const INNER = /^(?:[-a-z0-9]+-)?registry-(?:vpc|internal)\.([-a-z0-9]+?)\.(?:cr\.)?aliyuncs\.com$/;

const FROZEN: Record<string, string> = { 'k8s.gcr.io': 'registry.k8s.io' };

function troubleWith(
  host: string,
  region: string | undefined,
): { severity: Severity; want: string; breaks: string } | undefined {
  const [, at] = INNER.exec(host) ?? [];
  if (at !== undefined && region !== undefined && at !== region)
    return { severity: 'refuse', want: `a registry that ${region} reaches`, breaks: 'its images cannot be pulled' };
  const instead = FROZEN[host];
  return instead === undefined
    ? undefined
    : {
        severity: 'warn',
        want: instead,
        breaks: 'nothing yet: the host is frozen, and forwards as long as it pleases its owner',
      };
}
