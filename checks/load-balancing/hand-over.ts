import type { Check, Finding, Sight } from '../../src/check.js';
import { controllerVersion, isKnownController, KNOWN_CONTROLLERS, obstacles, OTHER_WAYS } from '../../src/hand-over.js';
import { annotation } from '../annotations.js';
import { balanced, isToBeHandedOver, type BalancedFront } from '../fronts.js';

/**
 * A load balancer that the source's controller made is taken over in place: its marks come off, its group becomes a person's. That is safe
 * only while nobody else uses it, and with a controller that lets go as the known ones do.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/{model_applier,vgroups}.go, and runs of v2.14.0
 */
export const handOver: Check = {
  id: 'hand-over',
  group: 'load-balancing',
  asks: 'Can the load balancer be taken over from the controller that made it?',
  before: 'traffic',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['cloud', 'traffic'],
  reads: { source: ['Service', 'Deployment.apps', 'DaemonSet.apps'], target: ['Service'], cloud: true },
  takes: { Service: 'named', 'Deployment.apps': 'named', 'DaemonSet.apps': 'named' },
  hint: {
    why: 'The controller owns what it has tagged, with all listeners and groups; another Service on it, or a controller with other rules, would lose its own or take it back.',
    fix: OTHER_WAYS,
  },
  zh: {
    asks: '能否从创建该负载均衡的控制器手中接管它？',
    why: '带有控制器标签的实例及其监听、服务器组都归控制器所有；若其上还有其他 Service，或控制器规则不同，接管会误伤对方，或被控制器夺回。',
    fix: '其他方式各有缺口：dns（地址会变，客户端在 TTL 内仍用旧地址）；自建负载均衡再用 DNS 指向它（同上）；集群间的 mcs 或 fsm（地址留在源集群，源集群必须继续运行）。',
  },
  sources: [
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/model_applier.go',
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go',
    'https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/considerations-for-configuring-a-loadbalancer-type-service-1',
  ],

  look: (sight) =>
    balanced(sight)
      .filter(isToBeHandedOver)
      .flatMap((it) => [...inTheWay(it), ...byController(it, sight), ...stray(it)]),
};

const inTheWay = ({ asked, balancer, source }: BalancedFront): Finding[] =>
  source
    ? obstacles(asked.service, source, balancer).map((saw) => ({
        about: `load balancer ${balancer.id}`,
        saw,
        want: `${asked.service} alone, whole and serving`,
      }))
    : [];

function byController({ about }: BalancedFront, { playbook, source }: Sight): Finding[] {
  const version = controllerVersion(source.inventory) ?? playbook.source.ccm;
  const want = `${KNOWN_CONTROLLERS.from} or later, before ${KNOWN_CONTROLLERS.before}`;
  if (version === undefined)
    return [
      {
        about,
        saw: "the source's cloud controller manager is out of sight",
        want,
        breaks: 'nothing that is known: which rules it has can not be told',
        fix: 'Say its version in the playbook, e.g. `source: { ccm: 2.14.0 }`: the console shows it among the add-ons of the cluster.',
      },
    ];
  return isKnownController(version)
    ? []
    : [
        {
          about,
          saw: `the source's cloud controller manager is ${version}`,
          want,
          fix: `Upgrade it first. ${OTHER_WAYS}`,
        },
      ];
}

/** Not in force on a load balancer of the controller's own, and in force once a person owns it: the step takes them out of force. */
const stray = ({ about, source }: BalancedFront): Finding[] =>
  ['weight', 'force-override-listeners'].flatMap((suffix) => {
    const value = annotation(source, suffix) ?? '';
    return value === '' || (suffix !== 'weight' && value !== 'true')
      ? []
      : [
          {
            about,
            severity: 'warn' as const,
            saw: `…-loadbalancer-${suffix}: "${value}", which means nothing yet`,
            breaks: 'nothing: it is taken out of force with the hand-over, and put back with it',
            fix: 'Remove it, if nobody knows what it is for.',
          },
        ];
  });
