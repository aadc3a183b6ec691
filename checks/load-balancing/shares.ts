import { Unknown, type Check, type Sight } from '../../src/check.js';
import { MigrateError } from '../../src/errors.js';
import { routers } from '../../src/routers/index.js';
import { trafficSteps } from '../../src/traffic.js';

/**
 * Weights are whole numbers for each member: with few of them, or many, not every share can be reached. The plan computes
 * which; here they are compared with those that were asked for.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go
 */
export const shares: Check = {
  id: 'shares',
  group: 'load-balancing',
  asks: 'Can each share that the playbook asks for be reached with the members of now?',
  before: 'traffic',
  severity: 'refuse',
  when: ['cloud', 'traffic'],
  reads: { source: ['Service', 'Node', 'EndpointSlice.discovery.k8s.io'], target: ['Service', 'Node'], cloud: true },
  takes: { Service: 'named', 'EndpointSlice.discovery.k8s.io': 'named' },
  hint: {
    why: 'A member has a weight of at least 1: thirty new nodes at the smallest weight take more than one percent.',
    fix: 'Ask for another share, widen `traffic.tolerance`, or let fewer nodes be members (annotation …-loadbalancer-backend-label).',
  },
  zh: {
    asks: '以当前的后端数量，playbook 要求的每个流量比例是否都能达到？',
    why: '每个后端的权重至少为 1：30 台新节点即使都用最小权重，占比也超过 1%。',
    fix: '调整步骤中的比例，放宽 traffic.tolerance，或用注解 …-loadbalancer-backend-label 减少后端节点。',
  },
  sources: [
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go',
    'https://www.alibabacloud.com/help/en/slb/classic-load-balancer/user-guide/vserver-group-overview',
  ],

  look(sight) {
    try {
      trafficSteps(sight.playbook, inventory(sight), routers, []);
      return [];
    } catch (error) {
      if (!(error instanceof MigrateError)) throw error;
      if (error.code !== 'SHARE_UNREACHABLE') throw new Unknown(error.what);
      return [{ about: 'traffic.steps', saw: `${error.what} ${error.why}`, fix: error.fix }];
    }
  },
};

const inventory = (sight: Sight) => ({
  schemaVersion: 1 as const,
  takenAt: sight.takenAt,
  source: sight.source.inventory,
  target: sight.target.inventory,
  cloud: sight.cloud(),
});
