import type { Check, Finding, Sight } from '../../src/check.js';
import { about, some } from '../about.js';
import { imageOf, imagesOf } from '../images.js';
import { EACH_WORKLOAD, selects, WORKLOADS, workloads, type Workload } from '../pods.js';

/**
 * A tag that moves names one program today and another tomorrow: the target pulls what it names then. The pods that run know
 * by digest what they run.
 *
 * @source https://kubernetes.io/docs/concepts/containers/images/#image-names
 */
export const imageTags: Check = {
  id: 'image-tags',
  group: 'images',
  asks: 'Do the images name what runs now, on every node and tomorrow too?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: WORKLOADS },
  takes: {
    ...EACH_WORKLOAD,
    Pod: [
      'metadata.labels',
      'spec.containers.image',
      'spec.initContainers.image',
      'status.containerStatuses.image',
      'status.containerStatuses.imageID',
    ],
  },
  hint: {
    why: 'Under a tag that moves the target may start other code than the source runs, in the middle of a shift.',
    fix: 'Name a tag that is never pushed again, or the digest: `kubectl get pod -o jsonpath={.status.containerStatuses[*].imageID}` tells it.',
  },
  zh: {
    asks: '镜像标签是否固定，即今后在任何节点上拉到的都是现在运行的版本？',
    why: '标签会变动时，目标集群拉到的可能不是源集群正在运行的代码，而且正好发生在切流过程中。',
    fix: '使用不会被覆盖的标签，或直接写摘要；可用 kubectl get pod -o jsonpath={.status.containerStatuses[*].imageID} 查看。',
  },
  sources: ['https://kubernetes.io/docs/concepts/containers/images/#image-names'],

  look: (sight) => workloads(sight.source, sight.namespaces).flatMap((it) => [...moving(it), ...drifted(it, sight)]),
};

function moving(it: Workload): Finding[] {
  const names = imagesOf(it)
    .filter(({ tag, digest }) => digest === undefined && (tag === undefined || tag === 'latest'))
    .map(({ name }) => name);
  return names.length === 0
    ? []
    : [
        {
          about: about(it.object),
          saw: `image ${some(names)}`,
          want: 'a fixed tag or a digest',
          breaks: 'the target may run other code',
        },
      ];
}

interface Status {
  image: string;
  imageID?: string;
}

/** Pods of one workload that run different digests under one name: somebody has pushed the tag again. */
function drifted(it: Workload, { source }: Sight): Finding[] {
  if (it.object.kind === 'Pod') return [];
  const pods = source
    .list('Pod', [it.object.metadata.namespace ?? ''])
    .filter((pod) => selects(it.labels, pod.metadata.labels ?? {}));
  const digests = new Map<string, Set<string>>();
  for (const { image, imageID } of pods.flatMap((pod): Status[] => pod['status']?.containerStatuses ?? [])) {
    const digest = imageOf((imageID ?? '').replace(/^docker-pullable:\/\//, '')).digest;
    if (digest) digests.set(image, (digests.get(image) ?? new Set()).add(digest));
  }
  const several = [...digests].filter(([, seen]) => seen.size > 1).map(([image]) => image);
  return several.length === 0
    ? []
    : [
        {
          about: about(it.object),
          saw: `its pods run different images under ${some(several)}`,
          want: 'one digest',
          breaks: 'the target runs one of them, perhaps a third',
        },
      ];
}
