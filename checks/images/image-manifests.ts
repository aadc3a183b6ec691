import { Unknown, type Check, type SideSight } from '../../src/check.js';
import { some } from '../about.js';
import { versionOf } from '../images.js';
import { usableNodes } from '../nodes.js';
import { WORKLOADS, workloadFields, workloads } from '../pods.js';

/**
 * Images that were pushed by Docker before 1.10 (2016), and copied as they are ever since, have manifests of schema 1. containerd 2.0
 * pulls them only when its environment asks for it, 2.1 never. Which images those are only their registries tell.
 *
 * @source containerd/containerd:RELEASES.md (deprecated features), https://github.com/moby/moby/pull/47459
 */
export const imageManifests: Check = {
  id: 'image-manifests',
  group: 'images',
  asks: 'Do the target’s nodes still pull images as old as the source’s may be?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Node'], target: ['Node'] },
  takes: workloadFields([], ['status.containerStatuses.imageID']),
  hint: {
    why: 'containerd 2 refuses images with a manifest of schema 1, which Docker and containerd 1 pull; the source may also have them on its nodes and never ask again. Not seen here: which images those are; only their registries tell.',
    fix: 'Ask for each old image: `skopeo inspect --raw docker://IMAGE` or `docker manifest inspect IMAGE`. Where it says schemaVersion 1, push it again as `skopeo copy --format v2s2` does, or build it anew; Docker of today pulls it no more.',
  },
  zh: {
    asks: '目标节点的运行时能否拉取源集群可能在用的旧格式镜像？',
    why: 'containerd 2 拒绝拉取 schema 1 清单的镜像，而 Docker 和 containerd 1 可以；源节点也可能早有缓存，从不重新拉取。此检查看不到具体是哪些镜像，只有镜像仓库知道。',
    fix: '对每个旧镜像执行 skopeo inspect --raw docker://镜像 或 docker manifest inspect 镜像；若 schemaVersion 为 1，用 skopeo copy --format v2s2 重新推送或重新构建；新版 Docker 也已无法拉取。',
  },
  sources: [
    'containerd/containerd:RELEASES.md',
    'https://github.com/containerd/containerd/pull/6884',
    'https://github.com/moby/moby/pull/47459',
  ],

  look({ source, target, namespaces }) {
    const moved = workloads(source, namespaces).length;
    if (moved === 0) return [];
    const to = runtimes(target).filter(refuses);
    if (to.length === 0) return [];
    const from = runtimes(source).filter((it) => !refuses(it));
    if (from.length === 0) return [];
    const byDocker = new Set(pulledByDocker(source, namespaces)).size;
    const evidence = byDocker > 0 ? `; pods run ${byDocker} that Docker pulled` : '';
    return [
      {
        about: 'images',
        saw: `${moved} workloads with images of ${some(from)}, for ${some(to)}${evidence}`,
        want: 'manifests of schema 2 or OCI',
        breaks: 'pods whose image has a manifest of schema 1: ImagePullBackOff',
      },
    ];
  },
};

/** `containerd://2.1.4` */
const refuses = (runtime: string): boolean => (versionOf(/^containerd:\/\/(.*)$/.exec(runtime)?.[1])?.[0] ?? 0) >= 2;

/** @throws Unknown  no node says what it runs */
function runtimes(side: SideSight): string[] {
  const said = usableNodes(side)
    .map((it) => String(it['status']?.nodeInfo?.containerRuntimeVersion ?? ''))
    .filter((it) => it !== '');
  if (said.length === 0) throw new Unknown(`${side.side}: no node tells its container runtime`);
  return [...new Set(said)].sort();
}

/** By the prefix that dockershim writes. @source kubernetes/kubernetes:pkg/kubelet/dockershim (until 1.23) */
const pulledByDocker = (side: SideSight, namespaces: readonly string[]): string[] =>
  side
    .list('Pod', namespaces)
    .flatMap((it) =>
      ((it['status']?.containerStatuses ?? []) as { imageID?: string }[]).map(({ imageID }) => imageID ?? ''),
    )
    .filter((it) => it.startsWith('docker-pullable://'));
