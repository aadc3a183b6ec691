import { Skipped, Unknown, type Check } from '../../src/check.js';

/**
 * Two contexts may well be two names of one cluster. The uid of the namespace kube-system is the nearest thing to a
 * cluster's identity: it survives renamed contexts, moved addresses and upgrades.
 *
 * @source https://github.com/kubernetes/kubernetes/issues/77487
 */
export const distinctClusters: Check = {
  id: 'distinct-clusters',
  group: 'access',
  asks: 'Are source and target two clusters, the target no older than the source?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  reads: {},
  hint: {
    why: 'A migration of a cluster onto itself overwrites what it reads. And an older API server drops fields that it does not know, without a word.',
    fix: 'Compare `kubectl --context NAME get namespace kube-system -o jsonpath={.metadata.uid}` of both contexts.',
  },
  zh: {
    asks: '源集群与目标集群是否为两个不同的集群，且目标版本不低于源版本？',
    why: '把集群迁移到它自身会覆盖正在读取的数据；较旧的 API Server 遇到不认识的字段会直接丢弃，不给任何提示。',
    fix: '分别对两个 context 执行 kubectl --context 名称 get namespace kube-system -o jsonpath={.metadata.uid} 并比较结果。',
  },
  sources: ['https://github.com/kubernetes/kubernetes/issues/77487', 'https://velero.io/docs/main/migration-case/'],

  look({ playbook, source, target }) {
    if (playbook.source.context === '') throw new Skipped('the source is servers outside any cluster');
    for (const it of [source, target]) {
      if (it.inventory.uid === '') throw new Unknown(`${it.side}: the uid of kube-system was not captured`);
    }
    const [from, to] = [source.minor(), target.minor()];
    const contexts = `contexts ${source.inventory.context} and ${target.inventory.context}`;
    if (source.inventory.uid === target.inventory.uid) {
      return [
        {
          about: 'clusters',
          saw: `${contexts}: kube-system has the uid ${source.inventory.uid} in both`,
          want: 'two clusters',
        },
      ];
    }
    if (to >= from) return [];
    return [
      {
        about: 'versions',
        severity: 'warn',
        saw: `${source.version} → ${target.version}`,
        want: `v1.${from} or newer`,
        breaks: 'fields and kinds that the older server does not know are lost in the restore',
        fix: 'Turn the move round, or look through what `removed-apis` says and waive this.',
      },
    ];
  },
};
