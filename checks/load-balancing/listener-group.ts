import type { Check, Finding } from '../../src/check.js';
import { balanced, balancerId, balancerOf, fronts, type BalancedFront } from '../fronts.js';

/**
 * Weights can be written and read back to the last digit in a group that no listener forwards to. So the way from the
 * address to the group is asked first.
 *
 * @source aliyun/aliyun-openapi-meta:en-US/slb/DescribeLoadBalancerListeners.json
 */
export const listenerGroup: Check = {
  id: 'listener-group',
  group: 'load-balancing',
  asks: 'Does the listener of each port run, and forward to the group that the playbook names?',
  before: 'traffic',
  severity: 'refuse',
  when: ['cloud', 'traffic'],
  reads: { source: ['Service'], target: ['Service'], cloud: true },
  takes: { Service: 'named' },
  hint: {
    why: 'Weights in a group that is not behind the address change nothing; read back, they look right all the same.',
    fix: 'Point the listener at the group (one call: VServerGroupId and Scheduler together), or name in the playbook the group that it has.',
  },
  zh: {
    asks: '每个端口的监听是否在运行，并转发到 playbook 所写的虚拟服务器组？',
    why: '如果监听并不转发到该服务器组，改权重不会影响任何流量，而回读的结果看上去却完全正确。',
    fix: '把监听指向该服务器组（VServerGroupId 与 Scheduler 一次调用同时修改），或把 playbook 改为监听实际使用的服务器组。',
  },
  sources: ['aliyun/aliyun-openapi-meta:en-US/slb/DescribeLoadBalancerListeners.json'],

  look: (sight) => [
    ...fronts(sight)
      .filter((it) => !balancerOf(it, sight))
      .map((it) => ({
        about: it.about,
        saw: `there is no load balancer ${balancerId(it)} in ${sight.cloud().region}`,
      })),
    ...balanced(sight).flatMap(trouble),
  ],
};

function trouble({ asked, balancer, listener }: BalancedFront): Finding[] {
  const about = `listener ${balancer.id}:${asked.port}`;
  const others = balancer.listeners.map((it) => it.port).join(', ');
  if (!listener)
    return [
      {
        about,
        saw: others ? `listeners on ${others} only` : 'no listener at all',
        want: `a listener on ${asked.port}`,
      },
    ];
  const found: Finding[] = [];
  if (listener.status !== 'running') {
    found.push({ about, saw: `status ${listener.status}`, want: 'running', fix: 'Start the listener.' });
  }
  if (listener.group !== asked.group) {
    found.push({
      about,
      saw: listener.group ? `forwards to ${listener.group}` : 'forwards to the default group',
      want: asked.group,
    });
  }
  return found;
}
