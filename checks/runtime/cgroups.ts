import type { Check, Finding, SideSight } from '../../src/check.js';
import { about, some } from '../about.js';
import { kubeletSettings } from '../config-maps.js';
import { imagesOf, versionOf, type Image } from '../images.js';
import { usableNodes } from '../nodes.js';
import { EACH_WORKLOAD, WORKLOADS, workloads } from '../pods.js';

/**
 * Newer nodes have cgroup v2 alone: from 1.35 on a kubelet refuses the first version unless told not to. What reads the files
 * of v1 finds others there; old Java runtimes then take the node’s memory for their own, and are killed for it.
 *
 * @source KEP-5573 (cgroup v1 support ends), https://kubernetes.io/docs/concepts/architecture/cgroups/
 */
export const cgroups: Check = {
  id: 'cgroups',
  group: 'runtime',
  asks: 'Does everything that moves know cgroup v2, where the target’s nodes have it?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Node'], target: ['Node', 'ConfigMap'] },
  takes: { ...EACH_WORKLOAD, ConfigMap: 'named' },
  hint: {
    why: 'Under cgroup v2 old runtimes see no limits and are killed for using too much; agents that read v1’s files fail.',
    fix: 'Use JDK 8u372, 11.0.16, 15 or newer, current agents, and images of the same age.',
  },
  zh: {
    asks: '目标节点使用 cgroup v2 时，要迁移的工作负载是否都支持？',
    why: '旧运行时在 cgroup v2 下看不到限额，会因内存超限被杀；直接读 v1 文件的采集程序会失败。',
    fix: '使用 JDK 8u372、11.0.16、15 及以上版本，并升级相关采集程序和基础镜像。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/architecture/cgroups/',
    'KEP-2254 (kubernetes/enhancements)',
    'https://bugs.openjdk.org/browse/JDK-8230305',
  ],

  look({ source, target, namespaces }) {
    if (!hasV2(target) || hasV2(source)) return [];
    return workloads(source, namespaces).flatMap((it): Finding[] => {
      const files = (it.spec.volumes ?? []).flatMap((one) =>
        one.hostPath?.path.startsWith('/sys/fs/cgroup') ? [one.hostPath.path] : [],
      );
      const old = imagesOf(it)
        .filter(isOldJava)
        .map((one) => one.name);
      const saw = [
        ...(files.length > 0 ? [`hostPath ${some(files)}`] : []),
        ...(old.length > 0 ? [`image ${some(old)}`] : []),
      ];
      return saw.length === 0
        ? []
        : [
            {
              about: about(it.object),
              saw: saw.join('; '),
              breaks: old.length > 0 ? 'Java takes the node’s memory for its own' : 'it finds other files there',
            },
          ];
    });
  },
};

/** Distributions by the release from which v2 is their default; of others nothing is said. */
const SYSTEMS: [RegExp, (found: string[]) => boolean][] = [
  [/Ubuntu (\d+)\./, ([release]) => Number(release) >= 22],
  [/Debian GNU\/Linux (\d+)/, ([release]) => Number(release) >= 11],
  [/(?:Rocky Linux|AlmaLinux|Red Hat Enterprise Linux|CentOS Stream) (\d+)/, ([release]) => Number(release) >= 9],
  [/Alibaba Cloud Linux (\d+)/, ([release]) => Number(release) >= 4],
];

/** From 1.35 on it is what kubelets ask for; before, the system’s default decides. */
function hasV2(side: SideSight): boolean {
  if (side.minor() >= 35 && kubeletSettings(side)?.['failCgroupV1'] !== false) return true;
  return usableNodes(side).some((it) => {
    const image = String(it['status']?.nodeInfo?.osImage ?? '');
    return SYSTEMS.some(([pattern, isNew]) => isNew(pattern.exec(image)?.slice(1) ?? ['0']));
  });
}

const JAVA = /(^|\/)(openjdk|java|jdk|jre|eclipse-temurin|adoptopenjdk|amazoncorretto|dragonwell)[^/]*$/;

function isOldJava({ path, tag }: Image): boolean {
  if (!JAVA.test(path) || tag === undefined) return false;
  const eight = /^(?:8u|1\.8\.0[_-]?)(\d+)/.exec(tag);
  if (eight) return Number(eight[1]) < 372;
  const [major = 0, minor = 0, patch = 0] = versionOf(tag) ?? [Number(/^\d+/.exec(tag)?.[0] ?? 99), 99, 99];
  if (major === 11) return minor === 0 && patch < 16;
  return major >= 9 && major < 15;
}
