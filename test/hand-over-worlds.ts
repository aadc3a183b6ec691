import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { ClusterSeed, Faults, Json, Seed } from '../src/twin/types.js';
import { ROOT, shipped } from './shop.js';

/** The world of playbooks/handover.yaml, with other controllers, members and load balancers. */

export type Mode = 'eni' | 'local' | 'cluster';

export interface Variant {
  /** how the source's controller makes members: pods, nodes with pods, all nodes */
  mode?: Mode;
  /** of the source's controller */
  version?: string;
  steps?: string;
}

const SERVICE = 'press/site';

export function handOverWorld({ mode = 'eni', version = '2.14.0', steps = '[50]' }: Variant = {}): {
  playbook: Playbook;
  seed: Seed;
} {
  const text = readFileSync(path.join(ROOT, 'playbooks/handover.yaml'), 'utf8')
    .replace(/^ {2}hold: .*$/m, '  hold: 1s')
    .replace(/^ {2}steps: .*$/m, `  steps: ${steps}`)
    .replace(/^ {2}gates:\n(?: {4}.*\n)+/m, '')
    .replace('handOver: true', `handOver: { controller: ${version} }`);
  const { seed } = shipped('handover');
  const { source } = seed;
  const objects = (source.objects as Json[]).filter((it) => it.kind !== 'DaemonSet');
  source.ccm = { version, clusterId: 'c-press-124', backendMode: mode === 'eni' ? 'eni' : 'ecs' };
  const service = objects.find((it) => it.kind === 'Service');
  service.metadata.annotations = { 'service.beta.kubernetes.io/backend-type': mode === 'eni' ? 'eni' : 'ecs' };
  if (mode === 'local') service.spec.externalTrafficPolicy = 'Local';
  if (mode !== 'eni')
    for (const group of seed.cloud.loadBalancers[0]?.groups ?? [])
      group.name = group.name.replace('k8s/8080/', 'k8s/31080/').replace('k8s/8443/', 'k8s/31443/');
  return {
    playbook: parsePlaybook(text, 'handover.yaml'),
    seed: { ...seed, source: { ...source, objects } satisfies ClusterSeed },
  };
}

/** A load balancer that lets no group in use be renamed, as the real one may do: then the group is copied. */
export const withoutRenaming: Faults = {
  decide: ({ verb }) =>
    verb === 'SetVServerGroupAttribute'
      ? {
          kind: 'refuse',
          status: 400,
          code: 'RspoolVipExist',
          message: 'there are vips associating with this vServer group.',
        }
      : undefined,
};

export const serviceOf = (seed: Seed): Json =>
  (seed.source.objects as Json[]).find((it) => `${it.metadata.namespace}/${it.metadata.name}` === SERVICE);
