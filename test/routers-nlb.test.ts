import { lbKey } from '../src/objects.js';
import { parsePlaybook } from '../src/playbook.js';
import type { Json, Seed } from '../src/twin/types.js';
import { holdRouters, type Way } from './conformance/routers.js';
import { BALANCER, GROUP, pairOf, type Half } from './pair.js';

/** The router of network load balancers, with members of each kind. */

const NLB_GROUP = GROUP.replace('rsp', 'sgp');

function way(title: string, half: Half, more: Partial<Way>): Way {
  const options = { source: half, target: half };
  const text = pairOf(options).text.replace('router: clb', 'router: nlb').replace(GROUP, NLB_GROUP);
  return {
    title: `nlb, ${title}`,
    playbook: parsePlaybook(text, 'held.yaml'),
    seed() {
      const written = JSON.stringify(pairOf(options).seed).replaceAll(BALANCER, `n${BALANCER}`);
      const seed = JSON.parse(written.replaceAll(GROUP, NLB_GROUP)) as Seed;
      for (const it of seed.source.objects as Json[])
        if (it.kind === 'Service') it.spec.loadBalancerClass = 'alibabacloud.com/nlb';
      return seed;
    },
    service: 'shop/web',
    traits: {
      unit: 'weight',
      min: 0,
      max: 100,
      zero: 'weight',
      splits: 'connections',
      proof: 'load-balancer',
    },
    shares: [1, 5, 20, 50, 100],
    bitesMs: 1_000,
    podsAreMembers: true,
    meddle: (stage) =>
      stage.twin.target.api.mergePatch('v1/services', 'shop', 'web', {
        metadata: { annotations: { [lbKey('weight')]: '100', [lbKey('ignore-weight-update')]: null } },
      }),
    ...more,
  };
}

// Nodes by their pods (externalTrafficPolicy Local) are held in nlb.test.ts: there a node whose last pod goes refuses until the controller has
// seen it, whoever shifts.
holdRouters([way('pods', { mode: 'eni', pods: 3 }, {}), way('node ports', { mode: 'cluster', nodes: 3, pods: 4 }, {})]);
