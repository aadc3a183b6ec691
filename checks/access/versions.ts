import { NEWEST, OLDEST, TABLE_DATE } from '../../src/api-table.js';
import { Unknown, type Check, type Finding, type SideSight } from '../../src/check.js';
import { minorOf } from '../../src/objects.js';
import { some } from '../about.js';

/**
 * What is known here of releases ends somewhere: a table that is older than the cluster has no rule for it, and no finding
 * is then no answer. And a node pool that lags behind its own server behaves like an older cluster.
 *
 * @source https://kubernetes.io/releases/version-skew-policy/
 */
export const versions: Check = {
  id: 'versions',
  group: 'access',
  asks: 'Are both releases known here, and do the nodes keep up with their servers?',
  before: 'data',
  severity: 'warn',
  reads: { source: ['Node'], target: ['Node'] },
  hint: {
    why: 'For a release that the tables here do not hold, nothing can be called clean; and a kubelet beyond the skew that is supported fails in ways nobody tests.',
    fix: 'Use a release of migrate that knows the cluster’s version; upgrade the node pools that lag.',
  },
  zh: {
    asks: '本工具是否认识两个集群的版本？节点版本是否跟得上各自的 API Server？',
    why: '对表中没有的版本，任何“没有问题”的结论都不可信；kubelet 与 API Server 的版本差超出支持范围时，其行为没有人测试过。',
    fix: '使用认识该版本的 migrate；升级落后的节点池。',
  },
  sources: ['https://kubernetes.io/releases/version-skew-policy/', 'KEP-3935 (kubelets three minors behind from 1.28)'],

  look({ source, target }) {
    for (const side of [source, target]) requireKnown(side);
    return [source, target].flatMap(lagging);
  },
};

function requireKnown(side: SideSight): void {
  if (side.version === '') throw new Unknown(`${side.side}: its API server did not say its version`);
  const minor = side.minor();
  if (minor > NEWEST)
    throw new Unknown(`${side.side}: ${side.version} is newer than what is known here: 1.${NEWEST}, of ${TABLE_DATE}`);
  if (minor < OLDEST) throw new Unknown(`${side.side}: ${side.version} is older than what is known here: 1.${OLDEST}`);
}

function lagging(side: SideSight): Finding[] {
  const server = side.minor();
  const behind = server >= 28 ? 3 : 2;
  const off = side.list('Node').flatMap((node) => {
    const version = String(node['status']?.nodeInfo?.kubeletVersion ?? '');
    const kubelet = minorOf(version);
    return kubelet === undefined || (kubelet <= server && server - kubelet <= behind)
      ? []
      : [`${node.metadata.name} (${version})`];
  });
  if (off.length === 0) return [];
  return [
    {
      about: `${side.side} nodes`,
      saw: `kubelets of ${some(off)} under a server of ${side.version}`,
      want: `1.${server - behind} to 1.${server}`,
    },
  ];
}
