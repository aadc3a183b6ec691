import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import { backendModeOf } from '../../src/clb.js';
import { about, some } from '../about.js';
import { annotation } from '../annotations.js';
import { proxyConfig } from '../config-maps.js';
import { fronts, type Front } from '../fronts.js';
import { numbersOf, writtenNumbers, writtenPorts } from '../node-ports.js';

/**
 * Numbers of node ports, and of the port at which kube-proxy tells the health of a Service of policy Local, are given out by each cluster
 * for itself: nothing brings them along. What asks at a number, or has one written in its file, is asked after here.
 *
 * @source https://kubernetes.io/docs/reference/networking/virtual-ips/ (healthCheckNodePort), KEP-3866: nftables opens no host firewall
 * @source kubernetes/cloud-provider-alibaba-cloud:docs/zh/usage.md (health-check-connect-port)
 */
export const portNumbers: Check = {
  id: 'port-numbers',
  group: 'load-balancing',
  asks: 'Are the node ports that files and health checks name free, and answered, in the target?',
  before: 'traffic',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  reads: { source: ['Service', 'ConfigMap'], target: ['Service', 'ConfigMap'] },
  also: { source: ['Node'], target: ['Node'] },
  takes: {
    'source Service': writtenNumbers,
    'target Service': ['spec.ports.nodePort', 'spec.healthCheckNodePort'],
    ConfigMap: 'named',
  },
  everywhere: { target: ['Service'] },
  hint: {
    why: 'A health check at a number of the source finds nothing on the target’s nodes, so its members never become healthy; a file that asks for a number that another Service has is refused.',
    fix: 'Take the number out of the annotation health-check-connect-port, so that each member is asked at its own port; take nodePort and healthCheckNodePort out of the files.',
  },
  zh: {
    asks: '清单和健康检查中写死的节点端口，在目标集群是否空闲且有应答？',
    why: '健康检查若指定了源集群的端口号，目标节点上无人应答，后端始终不健康；清单指定的端口号若已被其他 Service 占用，会被拒绝。',
    fix: '去掉注解 health-check-connect-port 中的端口号，让每个后端按自己的端口检查；从清单中去掉 nodePort 和 healthCheckNodePort。',
  },
  sources: [
    'https://kubernetes.io/docs/reference/networking/virtual-ips/',
    'KEP-3866 (kubernetes/enhancements)',
    'kubernetes/cloud-provider-alibaba-cloud:docs/zh/usage.md',
    'https://github.com/vmware-tanzu/velero/issues/3419',
  ],

  look(sight) {
    return [...taken(sight), ...fronts(sight).flatMap((it) => [...askedAt(it, sight), ...closed(it, sight)])];
  },
};

function taken({ source, target, namespaces }: Sight): Finding[] {
  const owners = new Map(
    target.list('Service').flatMap((it) => numbersOf(it['spec'] ?? {}).map((number) => [number, about(it)] as const)),
  );
  return source.list('Service', namespaces).flatMap((it): Finding[] => {
    const clashes = writtenPorts(it).filter((number) => (owners.get(number) ?? about(it)) !== about(it));
    if (clashes.length === 0) return [];
    return [
      {
        about: about(it),
        severity: 'warn',
        saw: `its file asks for port ${some(clashes.map(String))}; in the target that is of ${some(clashes.map((number) => owners.get(number) ?? ''))}`,
        breaks:
          'the next `kubectl apply` of its file in the target: refused, the port is taken. The move itself takes a free one',
      },
    ];
  });
}

/** The port at which the load balancer is told to look, where that is one of the source's own numbers. */
function number(front: Front): number | undefined {
  const port = Number(annotation(front.source, 'health-check-connect-port') ?? Number.NaN);
  return numbersOf(front.source?.['spec'] ?? {}).includes(port) ? port : undefined;
}

function askedAt(front: Front, { target }: Sight): Finding[] {
  const port = number(front);
  if (port === undefined || backendModeOf(target.inventory, front.target ?? front.source) === 'eni') return [];
  if (numbersOf(front.target?.['spec'] ?? {}).includes(port)) return [];
  return [
    {
      about: front.about,
      severity: 'refuse',
      saw: `its health check asks at port ${port}, which the source gave out; ${front.target ? 'the target’s Service has another' : 'the target gives out its own'}`,
      want: 'no number in health-check-connect-port',
      breaks: 'the target’s members stay unhealthy: no request reaches them at any share',
    },
  ];
}

/** iptables and ipvs let the port through the host's own firewall; nftables can't. @source KEP-3866 */
function closed(front: Front, { source, target }: Sight): Finding[] {
  const port: unknown = front.source?.['spec']?.healthCheckNodePort;
  if (port === undefined || number(front) !== port) return [];
  if (!opens(source) || opens(target)) return [];
  return [
    {
      about: front.about,
      severity: 'warn',
      saw: `its health is asked at node port ${String(port)}; kube-proxy in mode nftables opens no port in the firewall of a node`,
      want: 'a rule of the node’s firewall, where it drops by default',
      breaks: 'health checks, on nodes with firewalld or the like',
    },
  ];
}

const opens = (side: SideSight): boolean => proxyConfig(side).mode !== 'nftables';
