import { Skipped, Unknown, type Check, type Finding, type Sight } from '../../src/check.js';
import type { KubeObject, SecurityGroup, SecurityRule } from '../../src/ports.js';
import { podSecurityGroups } from '../../src/terway.js';
import { backendModeOf } from '../../src/clb.js';
import { some } from '../about.js';
import { fronts, type Front } from '../fronts.js';
import { holds, network, networks, nodeAddresses, overlap, pluginOf, podNetworks, type Network } from '../networks.js';
import { containers, selects, WORKLOADS, workloadFields, workloads } from '../pods.js';

/**
 * Terway's pods have network interfaces in security groups of their own, and the load balancer reaches them there and no longer
 * through nodes. Rules are looked at by priority, a Drop before an Accept of the same; what none names is dropped.
 *
 * @source https://www.alibabacloud.com/help/en/ecs/user-guide/security-group-rules
 * @source AliyunContainerService/terway:types/daemon/config.go
 */
export const securityGroups: Check = {
  id: 'security-groups',
  group: 'network',
  asks: 'Do the security groups of the target’s pods let in the load balancer and the source?',
  before: 'traffic',
  severity: 'warn',
  when: ['traffic', 'cloud'],
  reads: { source: ['Service', 'Node', 'ConfigMap', ...WORKLOADS], target: ['Service', 'ConfigMap'], cloud: true },
  also: { source: ['DaemonSet.apps'], target: ['DaemonSet.apps'] },
  takes: {
    ...workloadFields(['metadata.labels', 'spec.containers.ports', 'spec.initContainers.ports']),
    Service: 'named',
    ConfigMap: 'named',
  },
  hint: {
    why: 'Health checks and requests of a classic load balancer come from 100.64.0.0/10. A security group that keeps them out leaves every pod of the target unhealthy, and one that keeps out the source breaks its calls.',
    fix: 'Let 100.64.0.0/10 and the networks of the source in at the pods’ ports, in the security group that ConfigMap kube-system/eni-config names. Not seen here: how many addresses a group of the basic kind may still take.',
  },
  zh: {
    asks: '目标 Pod 的安全组是否放行负载均衡和源集群？',
    why: '传统型负载均衡的健康检查和转发请求来自 100.64.0.0/10；安全组未放行时，目标的 Pod 全部健康检查失败；未放行源集群时，源集群对它们的调用会中断。',
    fix: '在 kube-system/eni-config 所指的安全组中，对 Pod 端口放行 100.64.0.0/10 以及源集群的网段。此检查看不到普通安全组还能容纳多少地址。',
  },
  sources: [
    'https://www.alibabacloud.com/help/en/ecs/user-guide/security-group-rules',
    'https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describesecuritygroupattribute',
    'AliyunContainerService/terway:types/daemon/config.go',
  ],

  look(sight) {
    const { target } = sight;
    const ids = podSecurityGroups(target.inventory);
    if (!ids) throw new Skipped('the target has no Terway: its pods have no interfaces in a security group');
    const direct = fronts(sight).filter((it) => backendModeOf(target.inventory, it.target ?? it.source) === 'eni');
    const asked = direct.flatMap((front) => portsOf(front, sight).map((port) => ({ front, port })));
    if (asked.length === 0) return [];
    if (ids.length === 0)
      throw new Unknown(
        'target: ConfigMap kube-system/eni-config names no security group (security_groups): its pods have that of their node',
      );
    const rules = ids
      .flatMap((id) => groupOf(id, sight).rules)
      .filter((it) => it.direction === 'ingress')
      .sort(inOrder);
    const ends = [...networks([BALANCER]), ...sourceNetworks(sight)];
    return asked.flatMap(({ front, port }): Finding[] => {
      const out = ends.filter((it) => !letsIn(rules, it, port));
      const wanted = `${port.protocol}/${port.port}`;
      return out.length === 0
        ? []
        : [
            {
              about: front.about,
              saw: `${some(ids)} keeps out ${some(out.map((it) => it.cidr))} at ${wanted}`,
              want: `rules that let them in at ${wanted}`,
              breaks:
                out[0]?.cidr === BALANCER
                  ? 'health checks: the load balancer sends its pods nothing'
                  : 'calls from the source to its pods',
            },
          ];
    });
  },
};

/** Where classic load balancers stand, as the members see them. */
const BALANCER = '100.64.0.0/10';

function groupOf(id: string, sight: Sight): SecurityGroup {
  const cloud = sight.cloud();
  const found = cloud.securityGroups?.find((it) => it.id === id);
  if (found) return found;
  throw new Unknown(
    `security group ${id} (ecs:DescribeSecurityGroupAttribute): ${cloud.unseen.find((it) => it.what === id)?.why ?? 'was not captured'}`,
  );
}

/** Its nodes, and its pods where they show their own addresses: an overlay's leave by the address of their node. */
function sourceNetworks({ source }: Sight): Network[] {
  const pods = pluginOf(source)?.name === 'terway' ? podNetworks(source) : [];
  const nodes = networks(nodeAddresses(source.list('Node')));
  return [...pods, ...nodes.filter((it) => !pods.some((outer) => holds(outer, it)))];
}

interface Port {
  protocol: string;
  port: number;
}

interface ServicePort {
  port: number;
  targetPort?: number | string;
  protocol?: string;
}

/** The ports of pods behind the listener. */
function portsOf(front: Front, sight: Sight): Port[] {
  const service = front.target ?? front.source;
  const all: ServicePort[] = service?.['spec']?.ports ?? [];
  const listened = all.filter((it) => it.port === front.asked.port);
  return (listened.length > 0 ? listened : all).flatMap(({ port, targetPort = port, protocol = 'TCP' }) =>
    numbersOf(targetPort, front, service, sight).map((it) => ({ protocol: protocol.toLowerCase(), port: it })),
  );
}

/** A name may stand for another number in each workload. */
function numbersOf(port: number | string, front: Front, service: KubeObject | undefined, { source }: Sight): number[] {
  if (typeof port === 'number') return [port];
  if (/^\d+$/.test(port)) return [Number(port)];
  const behind = workloads(source, [front.namespace]).filter((it) => selects(service?.['spec']?.selector, it.labels));
  const named = behind
    .flatMap((it) => containers(it.spec))
    .flatMap((it) => it.ports ?? [])
    .filter((it) => it.name === port);
  if (named.length === 0) throw new Unknown(`${front.about}: no container of its pods names a port ${port}`);
  return [...new Set(named.map((it) => it.containerPort))];
}

const inOrder = (a: SecurityRule, b: SecurityRule): number =>
  a.priority - b.priority || Number(b.policy === 'Drop') - Number(a.policy === 'Drop');

/**
 * Whether all of the network gets in.
 *
 * @param rules  in the order in which they count
 * @throws Unknown  a list that was not read decides
 */
function letsIn(rules: readonly SecurityRule[], from: Network, to: Port): boolean {
  for (const it of rules) {
    if (it.protocol !== 'all' && it.protocol !== to.protocol) continue;
    if (it.ports !== '' && !inRange(it.ports, to.port)) continue;
    const its = it.cidr === undefined ? undefined : network(it.cidr);
    if (it.list !== undefined && (!its || overlap(its, from)))
      throw new Unknown(
        `whether ${from.cidr} gets in at ${to.protocol}/${to.port}: the list ${it.list} in a rule was not read`,
      );
    if (!its) continue;
    if (it.policy === 'Drop' && overlap(its, from)) return false;
    if (it.policy === 'Accept' && holds(its, from)) return true;
  }
  return false;
}

function inRange(ports: string, port: number): boolean {
  const [first = -1, last = first] = ports.split('/').map(Number);
  return first === -1 || (first <= port && port <= last);
}
