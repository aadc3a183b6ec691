import { holdRouters, type Way } from './conformance/routers.js';
import type { Stage } from '../src/cli/stage.js';
import { BALANCER, GROUP, pairOf, type PairOptions } from './pair.js';

/** Server groups of a CLB, in each way in which a controller fills them and a share is written. */

/** Somebody at the console gives the target's members another weight, or all the same. */
async function reweigh({ twin }: Stage): Promise<void> {
  const members = twin.cloud.api.listenerBackends(BALANCER, 80) ?? [];
  const BackendServers = JSON.stringify(
    members.map((it) => ({
      ServerId: it.server,
      ServerIp: it.ip,
      Port: it.port,
      Weight: 50,
      Type: it.type,
      Description: it.description,
    })),
  );
  await twin.cloud.api.call('Slb', 'SetVServerGroupAttribute', {
    RegionId: 'cn-hangzhou',
    VServerGroupId: GROUP,
    BackendServers,
  });
}

const way = (title: string, options: PairOptions, more: Partial<Way> = {}): Way => ({
  title,
  playbook: pairOf(options).playbook,
  seed: () => pairOf(options).seed,
  service: 'shop/web',
  traits: { unit: 'weight', min: 0, max: 100, zero: 'weight', splits: 'connections', proof: 'load-balancer' },
  shares: [5, 1, 33, 50, 99, 100, 7, 0],
  bitesMs: 0,
  podsAreMembers: true,
  meddle: reweigh,
  ...more,
});

const byServices: PairOptions = { entry: 'weights: service' };

// Nodes by their pods (externalTrafficPolicy Local) are not here: a node whose last pod goes refuses until the controller has seen it, whoever
// shifts.
holdRouters([
  way('clb, pods by Services', { ...byServices, source: { pods: 4 }, target: { pods: 6 } }, { tolerance: 1 }),
  way(
    'clb, nodes by Services',
    {
      ...byServices,
      source: { mode: 'cluster', nodes: 3, pods: 3 },
      target: { mode: 'cluster', nodes: 3, pods: 3 },
    },
    { tolerance: 1 },
  ),
  way('clb, member by member', {
    entry: 'weights: member',
    source: { pods: 4 },
    target: { pods: 6 },
  }),
]);
