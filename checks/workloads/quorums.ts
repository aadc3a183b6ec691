import type { Check, Finding } from '../../src/check.js';
import { about } from '../about.js';
import { imagesOf } from '../images.js';
import { EACH_WORKLOAD, replicasOf, workloads } from '../pods.js';

/**
 * Members of a quorum know each other by the names and addresses of their cluster. A copy of their disks makes a second
 * quorum that does not know of the first, and both take writes.
 *
 * @source https://etcd.io/docs/latest/op-guide/recovery/
 */
export const quorums: Check = {
  id: 'quorums',
  group: 'workloads',
  asks: 'Does a replicated store move, which keeps its members’ names with its data?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: {
    source: [
      'StatefulSet.apps',
      'Deployment.apps',
      'DaemonSet.apps',
      'ReplicaSet.apps',
      'Job.batch',
      'CronJob.batch',
      'Pod',
    ],
  },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'Disks that are copied one after another are of different moments, and each knows its peers by the old cluster’s names: the members may not find a majority, or find the old one.',
    fix: 'Move it by its own means: replication across both clusters or its own backup; leave its namespace out of `data`.',
  },
  zh: {
    asks: '是否要迁移多副本的存储系统（成员信息与数据存放在一起）？',
    why: '逐块复制的云盘不在同一时刻，且每个成员记着旧集群里的同伴：新集群可能凑不齐多数派，或连回旧集群。',
    fix: '用它自己的方式迁移：跨集群复制或自带的备份恢复；不要把它放进 data.namespaces。',
  },
  sources: [
    'https://etcd.io/docs/latest/op-guide/recovery/',
    'https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/',
    'https://github.com/vmware-tanzu/velero/issues/9433',
  ],

  look: ({ source, namespaces }) =>
    workloads(source, namespaces)
      .filter((it) => it.object.kind === 'StatefulSet' && replicasOf(it) > 1)
      .flatMap((it): Finding[] => {
        const store = imagesOf(it)
          .map((image) => STORES.exec(image.path)?.[2])
          .find((name) => name !== undefined);
        return store === undefined
          ? []
          : [
              {
                about: about(it.object),
                saw: `${store}, ${replicasOf(it)} replicas`,
                want: 'its own replication or backup',
                breaks: 'two stores that do not know of each other',
              },
            ];
      }),
};

const STORES =
  /(^|[-/])(etcd|zookeeper|kafka|mysql|mariadb|percona-xtradb-cluster|postgres|postgresql|mongo|mongodb|redis|rabbitmq|consul|elasticsearch|opensearch|cassandra|nacos-server|rocketmq|clickhouse|tikv|pd|vault|nats|pulsar)([-:]|$)/;
