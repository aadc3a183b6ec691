import { Unknown, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import { instanceOf } from '../../src/objects.js';
import type { Backend } from '../../src/ports.js';
import { some } from '../about.js';
import { signature } from '../annotations.js';
import { cloudConfig } from '../config-maps.js';
import { balanced, type BalancedFront } from '../fronts.js';

/**
 * A controller knows its own members by three words in their description: Service, namespace and cluster id. Where all
 * three are equal in two clusters, each takes the other's members for stale ones of its own and removes them, and deleting
 * the Service on one side empties the group of both. The id of a self-run controller that was told none is the same
 * everywhere.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/provider/alibaba/base/metadata.go (default `clusterid`)
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go
 */
export const clusterIds: Check = {
  id: 'cluster-ids',
  group: 'load-balancing',
  asks: 'Do the two cloud controller managers sign their members with different cluster ids?',
  before: 'traffic',
  severity: 'refuse',
  when: ['cloud', 'traffic'],
  reads: { source: ['Service', 'Node', 'ConfigMap'], target: ['Service', 'Node', 'ConfigMap'], cloud: true },
  takes: { Service: 'named', ConfigMap: 'named' },
  hint: {
    why: 'Two controllers with one id and Services of one name each remove the other’s members from the group, at every event; the last pod of one side can take the address down.',
    fix: 'Give the self-run controllers different `clusterID`s in cloud-config and restart them; where an id cannot be read (managed clusters), state it as `clusterId` under `source` or `target` in the playbook.',
  },
  zh: {
    asks: '两个集群的 CCM 是否用不同的 cluster id 标记各自的后端？',
    why: '若 cluster id 与 Service 名称都相同，两个 CCM 会在每次事件中互相删除对方的后端；删除任一侧的 Service 会清空整个服务器组。',
    fix: '自建 CCM 请在 cloud-config 中设置不同的 clusterID 并重启；托管集群读不到该值时，在 playbook 的 source 或 target 下填写 clusterId。',
  },
  sources: [
    'kubernetes/cloud-provider-alibaba-cloud:pkg/provider/alibaba/base/metadata.go',
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go',
    'https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/considerations-for-configuring-a-loadbalancer-type-service-1',
  ],

  look(sight) {
    const list = balanced(sight);
    if (list.length === 0) return [];
    const source = idOf(sight.source, list, sight);
    const target = idOf(sight.target, list, sight);
    const contradicted = [source, target].flatMap((it) => it.contradiction);
    if (contradicted.length > 0) return contradicted;
    if (source.id !== target.id) return [];
    return [
      {
        about: 'cluster ids',
        saw: `${source.id} on both sides (source: ${source.from}; target: ${target.from})`,
        want: 'two different ids',
        breaks: `attaching ${some(list.map((it) => it.asked.service))}: each controller removes the other's members`,
      },
    ];
  },
};

interface Told {
  id: string;
  from: string;
  contradiction: Finding[];
}

/** What the playbook states, else what the members of that side are signed with, else what its controller was told. */
function idOf(side: SideSight, list: readonly BalancedFront[], { playbook, source }: Sight): Told {
  const stated = playbook[side.side].clusterId;
  const signed = side === source ? signedBySource(side, list) : signedBy(side, list);
  if (signed.size > 1)
    throw new Unknown(`${side.side}: its members are signed with several cluster ids: ${some([...signed].sort())}`);
  const [seen] = signed;
  if (stated !== undefined) {
    const contradiction =
      seen === undefined || seen === stated
        ? []
        : [
            {
              about: `${side.side}.clusterId`,
              saw: `its members are signed ${seen}`,
              want: `${stated}, as the playbook says`,
            },
          ];
    return { id: stated, from: 'stated in the playbook', contradiction };
  }
  if (seen !== undefined) return { id: seen, from: 'its members are signed so', contradiction: [] };
  const config = cloudConfig(side);
  if (config?.clusterID !== undefined)
    return { id: config.clusterID, from: 'ConfigMap kube-system/cloud-config', contradiction: [] };
  if (config)
    return { id: DEFAULT_ID, from: 'ConfigMap kube-system/cloud-config names none, so the default', contradiction: [] };
  throw new Unknown(
    `${side.side}: neither members of the load balancer nor ConfigMap kube-system/cloud-config tell the cluster id; state it as \`${side.side}.clusterId\` in the playbook`,
  );
}

const DEFAULT_ID = 'clusterid';

/** Ids on members that stand on this side's own instances, in any group of the load balancers asked about. */
function signedBy(side: SideSight, list: readonly BalancedFront[]): Set<string> {
  const instances = new Set(side.list('Node').map(instanceOf));
  return ids(
    list
      .flatMap((it) => it.balancer.groups)
      .flatMap((it) => it.backends)
      .filter((it) => instances.has(it.server)),
  );
}

/** As long as the target has no namesake, who signs a Service's name in its group can only be the source: pods count too. */
function signedBySource(side: SideSight, list: readonly BalancedFront[]): Set<string> {
  const alone = list.filter((it) => it.target === undefined);
  const named = alone.flatMap(({ group, namespace, name }) =>
    (group?.backends ?? []).filter((it) => isOf(it, namespace, name)),
  );
  return new Set([...signedBy(side, list), ...ids(named)]);
}

const isOf = ({ description }: Backend, namespace: string, name: string) => {
  const it = signature(description);
  return it?.namespace === namespace && it.service === name;
};

const ids = (backends: readonly Backend[]) =>
  new Set(backends.flatMap((it) => signature(it.description)?.clusterId ?? []));
