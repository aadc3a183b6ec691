import type { Check, Finding } from '../../src/check.js';
import { about, some } from '../about.js';
import { EACH_WORKLOAD, containers, WORKLOADS, workloads, type PodSpec } from '../pods.js';

/**
 * A directory of a node stays on that node. What a pod has written there is not in any backup, and on the target the same
 * path is empty.
 *
 * @source https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
 */
export const nodeDirectories: Check = {
  id: 'node-directories',
  group: 'runtime',
  asks: 'Does anything that moves keep data in a directory of its node?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: WORKLOADS },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'A hostPath is copied by nobody: the pod starts on an empty directory, and does not say so.',
    fix: 'Move the data onto a disk first; or waive this when it is a cache that may be lost.',
  },
  zh: {
    asks: '要迁移的工作负载是否把数据放在节点目录里？',
    why: 'hostPath 不会被任何备份带走：Pod 在目标集群会以空目录启动，且没有任何提示。',
    fix: '先把数据迁到云盘；如果只是可以丢弃的缓存，在此豁免。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/storage/volumes/#hostpath',
    'https://velero.io/docs/main/file-system-backup/#limitations',
  ],

  look: ({ source, namespaces }) =>
    workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
      const paths = written(spec);
      if (paths.length === 0) return [];
      // A DaemonSet's files are of its node more often than of its users.
      const own = object.kind !== 'DaemonSet';
      return [
        {
          about: about(object),
          severity: own ? 'refuse' : 'warn',
          saw: `writes to hostPath ${some(paths)}`,
          want: 'a persistent volume',
          breaks: own ? 'it starts on an empty directory' : 'what it keeps there starts anew on each node',
        },
      ];
    }),
};

/** Places of the system itself: nothing of the user's is kept there. */
const SYSTEM =
  /^\/(proc|sys|dev|run|var\/run|var\/log|lib\/modules|usr|etc|boot|var\/lib\/(kubelet|docker|containerd|cni|dhclient))(\/|$)|^\/$|^\/tmp(\/|$)/;

function written(spec: PodSpec): string[] {
  const mounts = containers(spec).flatMap((it) => it.volumeMounts ?? []);
  return (spec.volumes ?? []).flatMap((it) => {
    const path = it.hostPath?.path;
    if (path === undefined || SYSTEM.test(path) || it.hostPath?.type === 'Socket') return [];
    return mounts.some((mount) => mount.name === it.name && mount.readOnly !== true) ? [path] : [];
  });
}
