import { Skipped, type Check, type Finding, type SideSight } from '../../src/check.js';
import { about } from '../about.js';
import { compareVersions, imageOf, versionOf } from '../images.js';

/**
 * The method rests on two annotations: `vgroup-port` puts a Service's backends into a group that exists, `weight` says how
 * much that group sends them. Older controllers read neither. In a managed cluster the controller is the provider's affair.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:docs/zh/changelog (v2.0.1, v2.1.0)
 */
export const cloudControllers: Check = {
  id: 'cloud-controllers',
  group: 'load-balancing',
  asks: 'Do both cloud controller managers know the annotations that shift traffic?',
  before: 'traffic',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['cloud', 'traffic'],
  reads: { source: ['Deployment.apps', 'DaemonSet.apps'], target: ['Deployment.apps', 'DaemonSet.apps'] },
  takes: { 'Deployment.apps': 'named', 'DaemonSet.apps': 'named' },
  hint: {
    why: 'A controller before v2.1.0 does not know weight 0: the side that should get nothing gets its full share.',
    fix: 'Upgrade the cloud-controller-manager to v2.1.0 or newer first.',
  },
  zh: {
    asks: '两侧的 CCM 是否都支持切流所用的注解？',
    why: 'v2.1.0 之前的 CCM 不支持权重 0：本应没有流量的一侧会得到完整份额。',
    fix: '先把 cloud-controller-manager 升级到 v2.1.0 或更高版本。',
  },
  sources: [
    'kubernetes/cloud-provider-alibaba-cloud:docs/zh/changelog',
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go',
  ],

  look({ source, target }) {
    const sides = [source, target].map((side) => ({ side, found: controller(side) }));
    if (sides.every((it) => it.found === undefined))
      throw new Skipped('neither controller can be seen: the provider runs them');
    return sides.flatMap(({ side, found }) => (found ? judged(side, found) : []));
  },
};

const LEAST = [2, 1, 0];

type Workload = ReturnType<SideSight['list']>[number];

const controller = (side: SideSight): Workload | undefined =>
  ['Deployment.apps', 'DaemonSet.apps']
    .flatMap((kind) => side.list(kind, ['kube-system']))
    .find((it) => it.metadata.name.startsWith('cloud-controller-manager'));

function judged(side: SideSight, it: Workload): Finding[] {
  const image = imageOf(String(it['spec']?.template?.spec?.containers?.[0]?.image ?? ''));
  const version = versionOf(image.tag);
  const name = `${side.side} ${about(it)}`;
  if (!version)
    return [
      { about: name, severity: 'warn', saw: `its image ${image.name} tells no version`, want: 'v2.1.0 or newer' },
    ];
  return compareVersions(version, LEAST) >= 0
    ? []
    : [
        {
          about: name,
          severity: 'refuse',
          saw: `${image.tag}`,
          want: 'v2.1.0 or newer',
          breaks: 'weight 0 is not taken',
        },
      ];
}
