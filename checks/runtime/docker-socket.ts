import type { Check, Finding, SideSight } from '../../src/check.js';
import { about, some } from '../about.js';
import { usableNodes } from '../nodes.js';
import { EACH_WORKLOAD, WORKLOADS, workloads, type Volume } from '../pods.js';

/**
 * Builders, agents and log collectors that reach into Docker find nobody there on a node that runs containerd: kubelets have
 * no Docker since 1.24, and the log files have another place and another format.
 *
 * @source KEP-2221 (dockershim removed in 1.24), https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/
 */
export const dockerSocket: Check = {
  id: 'docker-socket',
  group: 'runtime',
  asks: 'Does anything that moves reach into Docker on its node?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: WORKLOADS, target: ['Node'] },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'There is no Docker under containerd: its socket is absent, and its directory empty.',
    fix: 'Build images with BuildKit or in pods of their own, ask the CRI socket instead, and read logs from /var/log/pods, which are in another format.',
  },
  zh: {
    asks: '要迁移的工作负载是否直接使用节点上的 Docker？',
    why: 'containerd 节点上没有 Docker：socket 不存在，数据目录为空。',
    fix: '构建镜像改用 BuildKit 等方式，改连 CRI socket；日志改从 /var/log/pods 读取，注意格式不同。',
  },
  sources: [
    'KEP-2221 (kubernetes/enhancements)',
    'https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/check-if-dockershim-removal-affects-you/',
  ],

  look({ source, target, namespaces }) {
    if (!withoutDocker(target)) return [];
    return workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
      const paths = (spec.volumes ?? []).flatMap((it: Volume) => it.hostPath?.path.replace(/\/+$/, '') ?? []);
      const sockets = paths.filter((it) => SOCKETS.includes(it));
      const folders = paths.filter((it) => FOLDERS.some((folder) => it === folder || it.startsWith(`${folder}/`)));
      return [
        ...(sockets.length > 0
          ? [
              {
                about: about(object),
                severity: 'refuse' as const,
                saw: `hostPath ${some(sockets)}`,
                want: 'no Docker',
                breaks: 'whatever it asks of Docker',
              },
            ]
          : []),
        ...(folders.length > 0
          ? [
              {
                about: about(object),
                severity: 'warn' as const,
                saw: `hostPath ${some(folders)}`,
                want: '/var/log/pods, /var/log/containers',
                breaks: 'it finds nothing there',
              },
            ]
          : []),
      ];
    });
  },
};

const SOCKETS = ['/var/run/docker.sock', '/run/docker.sock'];
const FOLDERS = ['/var/lib/docker', '/var/log/docker'];

/** By the runtimes of its nodes; without any, by its version. */
function withoutDocker(target: SideSight): boolean {
  const runtimes = usableNodes(target)
    .flatMap((it) => it['status']?.nodeInfo?.containerRuntimeVersion ?? [])
    .map(String);
  return runtimes.length > 0 ? runtimes.some((it) => !it.startsWith('docker:')) : target.minor() >= 24;
}
