import type { Check, Finding } from '../../src/check.js';
import { about, some } from '../about.js';
import { mayRunOn, usableNodes } from '../nodes.js';
import { mapsHostPorts, pluginOf } from '../networks.js';
import { EACH_WORKLOAD, containers, replicasOf, WORKLOADS, workloads } from '../pods.js';

/**
 * A port of the node is opened by a part of the network plug-in that not every cluster has in its chain; and each node has it
 * once.
 *
 * @source containernetworking/plugins:plugins/meta/portmap, AliyunContainerService/terway:docs
 */
export const hostPorts: Check = {
  id: 'host-ports',
  group: 'runtime',
  asks: 'Do the target’s nodes open the host ports that moved pods ask for?',
  before: 'data',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: WORKLOADS, target: ['Node', 'ConfigMap', 'DaemonSet.apps'] },
  takes: { ...EACH_WORKLOAD, ConfigMap: 'named' },
  hint: {
    why: 'Without portmap in the plug-in’s chain a host port is accepted and never opened; and a second pod with it needs a second node.',
    fix: 'Use a Service or hostNetwork; with Terway, add portmap to 10-terway.conflist.',
  },
  zh: {
    asks: '要迁移的 Pod 使用的 hostPort，目标节点是否会真正开放？',
    why: 'CNI 链中没有 portmap 时，hostPort 会被接受却不生效；同一端口的第二个 Pod 需要另一台节点。',
    fix: '改用 Service 或 hostNetwork；使用 Terway 时在 10-terway.conflist 中加入 portmap。',
  },
  sources: ['containernetworking/plugins:plugins/meta/portmap', 'AliyunContainerService/terway:docs'],

  look({ source, target, namespaces }) {
    const plugin = pluginOf(target)?.name;
    const opens = plugin === 'terway' ? mapsHostPorts(target) : true;
    return workloads(source, namespaces).flatMap((it): Finding[] => {
      const { object, spec } = it;
      const ports = [
        ...new Set(containers(spec).flatMap((one) => (one.ports ?? []).flatMap((port) => port.hostPort || []))),
      ];
      if (ports.length === 0 || spec.hostNetwork === true) return [];
      const nodes = usableNodes(target).filter((node) => mayRunOn(spec, node)).length;
      const found: Finding[] = [];
      if (opens !== true)
        found.push({
          about: about(object),
          severity: 'warn',
          saw: `host port ${some(ports.map(String))}; Terway’s chain ${opens === false ? 'has no portmap' : 'can’t be seen'}`,
          want: 'portmap in 10-terway.conflist',
          breaks: 'the port is not opened',
        });
      if (nodes > 0 && object.kind !== 'DaemonSet' && replicasOf(it) > nodes)
        found.push({
          about: about(object),
          severity: 'refuse',
          saw: `host port ${some(ports.map(String))} on ${nodes} nodes`,
          want: `${replicasOf(it)}, one for each replica`,
          breaks: `${replicasOf(it) - nodes} of its pods stay Pending`,
        });
      return found;
    });
  },
};
