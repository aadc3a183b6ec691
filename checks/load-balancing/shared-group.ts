import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import type { Backend } from '../../src/ports.js';
import { backendModeOf } from '../../src/clb.js';
import { some } from '../about.js';
import { annotation, signature } from '../annotations.js';
import { cloudConfig } from '../config-maps.js';
import { MADE_BY_CONTROLLER } from '../../src/hand-over.js';
import { balanced, isToBeHandedOver, type BalancedFront, type Front } from '../fronts.js';
import { regionOf, usableNodes } from '../nodes.js';
import { WORKLOADS, selects, workloads, workloadFields } from '../pods.js';

/**
 * What one group must be for two controllers to keep their members in it: made by a person, in a load balancer that no
 * controller owns, for one port, in reach of both clusters' nodes and with room for all members at once.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/{vgroups,loadbalancer}.go
 */
export const sharedGroup: Check = {
  id: 'shared-group',
  group: 'load-balancing',
  asks: 'Can both clusters be members of the server group?',
  before: 'traffic',
  severity: 'refuse',
  when: ['cloud', 'traffic'],
  reads: { source: ['Service', ...WORKLOADS], target: ['Service', 'Node'], cloud: true },
  takes: { ...workloadFields(['metadata.labels'], ['spec.replicas']), Service: 'named' },
  hint: {
    why: 'A controller takes no group or load balancer that a controller made, and reaches none in another region or VPC; it then makes a group of its own or does nothing, and says that all is well.',
    fix: 'Make a group by hand on a load balancer by hand, join the source to it first (annotations id and vgroup-port), point the listener at it, then come back.',
  },
  zh: {
    asks: '两个集群能否同时作为该虚拟服务器组的后端？',
    why: 'CCM 不会复用由 CCM 创建的服务器组或负载均衡实例，也无法使用其他地域或 VPC 的实例；此时它要么另建一个服务器组，要么什么都不做，却仍然上报成功。',
    fix: '手工创建负载均衡实例和虚拟服务器组，先让源集群加入（注解 id 与 vgroup-port），再把监听指向该组，然后重新检查。',
  },
  sources: [
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go',
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/loadbalancer.go',
    'https://github.com/kubernetes/cloud-provider-alibaba-cloud/issues/262',
    'https://www.alibabacloud.com/help/en/slb/classic-load-balancer/product-overview/limits',
    'https://www.alibabacloud.com/help/en/slb/network-load-balancer/product-overview/limits',
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/nlbv2/server_groups.go',
  ],

  look: (sight) => [
    ...balanced(sight).flatMap((front) => [...ofGroup(front), ...ofAddresses(front), ...ofMembers(front)]),
    ...balancersOf(sight).flatMap((list) => [...ofBalancer(list), ...ofPlace(list, sight), ...ofRoom(list, sight)]),
  ],
};

function ofGroup(front: BalancedFront): Finding[] {
  const { asked, balancer, group } = front;
  const about = `group ${asked.group}`;
  if (!group) {
    return [
      {
        about,
        saw: `${balancer.id} has ${some(balancer.groups.map((it) => it.id)) || 'no groups'}`,
        want: `${asked.group} in ${balancer.id}`,
      },
    ];
  }
  if (!signature(group.name) || isToBeHandedOver(front)) return [];
  return [
    {
      about,
      saw: `its name is ${group.name}: a controller made it`,
      want: 'a group whose name is not of the controller’s form',
      breaks: 'the target is not attached: "cannot reuse a ccm created" group',
      fix: HAND_OVER,
    },
  ];
}

/**
 * A group of addresses takes no instances and interfaces: the controller writes addresses only where it is told to, and under Local one for
 * each pod of a node, which the cloud refuses as the same one twice.
 */
function ofAddresses({ asked, group, source, target }: BalancedFront): Finding[] {
  if (group?.type !== 'Ip') return [];
  const about = `group ${asked.group}`;
  const found: Finding[] = [];
  for (const [side, service] of [['source', source] as const, ['target', target] as const]) {
    if (!service) continue;
    const said = annotation(service, 'server-group-type') ?? '';
    if (!/^ip$/i.test(said))
      found.push({
        about,
        saw: `type Ip; the ${side}'s Service ${said === '' ? 'does not say' : `says ${said}`}`,
        want: '…-loadbalancer-server-group-type: Ip',
        breaks: 'no member comes in: Mismatch.ServerType',
      });
    if (service['spec']?.externalTrafficPolicy === 'Local')
      found.push({
        about,
        saw: `type Ip; the ${side}'s Service has externalTrafficPolicy Local`,
        want: 'Cluster, or pods as members (backend-type: eni)',
        breaks: 'a node with two pods is written twice: DuplicatedParam.Server',
      });
  }
  return found;
}

/** Nothing enforces it, but two ports in one group make the controller take out at each turn what it put in at the last. */
function ofMembers({ asked, group }: BalancedFront): Finding[] {
  const ports = new Map<string, Set<string>>();
  for (const it of group?.backends ?? []) {
    const owner = ownerOf(it);
    if (owner) ports.set(owner.who, (ports.get(owner.who) ?? new Set()).add(owner.port));
  }
  return [...ports].flatMap(([who, seen]) =>
    seen.size < 2
      ? []
      : [
          {
            about: `group ${asked.group}`,
            saw: `${who} has members for the ports ${[...seen].sort().join(', ')}`,
            want: 'one group for each port of a Service',
          },
        ],
  );
}

function ownerOf({ description }: Backend): { who: string; port: string } | undefined {
  const it = signature(description);
  return it && { who: `${it.namespace}/${it.service} of cluster ${it.clusterId}`, port: it.port };
}

function balancersOf(sight: Sight): BalancedFront[][] {
  const byId = new Map<string, BalancedFront[]>();
  for (const it of balanced(sight)) byId.set(it.balancer.id, [...(byId.get(it.balancer.id) ?? []), it]);
  return [...byId.values()];
}

const HAND_OVER =
  'Let it be taken over in place, the address stays: in the playbook `handOver: true` instead of `group`. Or move by another router: `dns` (a new address), `mcs` (the source must live on).';

function ofBalancer([front]: readonly BalancedFront[]): Finding[] {
  if (!front) return [];
  const { id, tags, status } = front.balancer;
  const about = `load balancer ${id}`;
  const found: Finding[] = [];
  const made = MADE_BY_CONTROLLER.filter((it) => it in tags);
  if (made.length > 0 && !isToBeHandedOver(front)) {
    found.push({
      about,
      saw: `tagged ${made.join(', ')}: a controller made it`,
      want: 'a load balancer made by a person',
      breaks:
        'the target is not attached: "can not be reused"; and deleting the source Service deletes the load balancer with its address',
      fix: HAND_OVER,
    });
  }
  if (status !== 'active')
    found.push({
      about,
      saw: `status ${status}`,
      want: 'active',
      fix: 'Start the load balancer, or settle what it is locked for.',
    });
  return found;
}

/** The VPC that members must be in; none where a group takes addresses of anywhere. */
const HOMES: Record<Front['asked']['router'], (front: BalancedFront) => string> = {
  clb: ({ balancer }) => balancer.vpc,
  nlb: ({ group }) => (group?.type === 'Ip' ? '' : (group?.vpc ?? '')),
};

function ofPlace([front]: readonly BalancedFront[], sight: Sight): Finding[] {
  if (!front) return [];
  const { id, region } = front.balancer;
  const vpc = HOMES[front.asked.router](front);
  const about = `load balancer ${id}`;
  const asked = sight.playbook.cloud?.region;
  const found: Finding[] = [];
  if (region !== asked)
    found.push({ about, saw: `region ${region}`, want: `${asked}, as the playbook's cloud.region says` });
  const away = [...new Set(usableNodes(sight.target).map(regionOf))].filter((it) => it !== undefined && it !== region);
  if (away.length > 0) {
    found.push({
      about,
      saw: `region ${region}; the target has nodes in ${away.join(', ')}`,
      want: 'target nodes in the region of the load balancer',
      fix: 'A classic load balancer (CLB), and a group of instances of an NLB, take no members from another region: shift by DNS, or by a load balancer that does.',
    });
  }
  // Only a controller that one runs oneself says which VPC it is in; a managed one keeps that to itself.
  for (const side of [sight.source, sight.target]) {
    const own = cloudConfig(side)?.vpcid;
    if (own !== undefined && vpc !== '' && own !== vpc)
      found.push({ about, saw: `VPC ${vpc}; the ${side.side}'s controller works in ${own}`, want: 'one VPC' });
  }
  return found;
}

/** Members of one load balancer, over all its groups. */
const MOST_BACKENDS = { clb: 200, nlb: 400 };

const OVER = { clb: 'InstanceBackendServerNumberOverLimit', nlb: 'QuotaExceeded.QuotaInsufficient' };

function ofRoom(list: readonly BalancedFront[], { source, target }: Sight): Finding[] {
  const [front] = list;
  if (!front) return [];
  const now = front.balancer.groups.reduce((sum, it) => sum + it.backends.length, 0);
  const coming = list.filter((it) => !isAttached(it)).reduce((sum, it) => sum + expected(it, source, target), 0);
  const most = MOST_BACKENDS[front.asked.router];
  if (now + coming <= most) return [];
  return [
    {
      about: `load balancer ${front.balancer.id}`,
      saw: `${now} members, and the target brings ${coming}`,
      want: `at most ${most}`,
      breaks: `attaching the target: ${OVER[front.asked.router]}`,
      fix: 'Raise the quota, or choose fewer nodes with the annotation backend-label.',
    },
  ];
}

/** A target that has joined already is among the members of now. */
const isAttached = ({ asked, target }: BalancedFront): boolean =>
  annotation(target, 'vgroup-port')?.includes(asked.group) ?? false;

function expected(front: BalancedFront, source: SideSight, target: SideSight): number {
  const service = front.target ?? front.source;
  if (backendModeOf(target.inventory, service) === 'cluster') return usableNodes(target).length;
  const behind = workloads(source, [front.namespace]).filter((it) =>
    selects(front.source?.['spec']?.selector, it.labels),
  );
  return behind.reduce((sum, it) => sum + Number(it.object['spec']?.replicas ?? 1), 0);
}
