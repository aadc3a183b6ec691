import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { ClusterSeed, Faults, Json, Seed } from '../src/twin/types.js';
import { quickShopText, ROOT, shipped } from './shop.js';

/** The world of playbooks/handover.yaml, with other controllers, members and load balancers. */

export type Mode = 'eni' | 'local' | 'cluster';

export interface Variant {
  /** how the source's controller makes members: pods, nodes with pods, all nodes */
  mode?: Mode;
  /** of the source's controller */
  version?: string;
  steps?: string;
}

export function handOverWorld({ mode = 'eni', version = '2.14.0', steps = '[50]' }: Variant = {}): {
  playbook: Playbook;
  seed: Seed;
} {
  const text = readFileSync(path.join(ROOT, 'playbooks/handover.yaml'), 'utf8')
    .replace(/^ {2}hold: .*$/m, '  hold: 1s')
    .replace(/^ {2}steps: .*$/m, `  steps: ${steps}`)
    .replace(/^ {2}gates:\n(?: {4}.*\n)+/m, '')
    .replace(/^source: \{ /m, `source: { ccm: ${version}, `);
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

/** The shop, data and all, whose load balancer its source's controller made. */
export function handOverShop(): { playbook: Playbook; seed: Seed } {
  const text = quickShopText()
    .replace('group: rsp-shop', 'handOver: true')
    .replace(/^source: \{ /m, 'source: { ccm: 2.11.2, ');
  const { seed } = shipped('shop');
  const service = (seed.source.objects as Json[]).find((it) => it.kind === 'Service' && it.metadata.name === 'web');
  const uid = '0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9';
  Object.assign(service.metadata, { uid, annotations: {} });
  const mark = `a${uid.replaceAll('-', '')}`.slice(0, 32);
  const [balancer] = seed.cloud.loadBalancers;
  Object.assign(balancer as Json, {
    name: mark,
    tags: { 'kubernetes.do.not.delete': mark, 'ack.aliyun.com': 'c-shop-120' },
    listeners: [{ port: 80, protocol: 'tcp', status: 'running', scheduler: 'rr', group: 'rsp-shop' }],
    groups: [{ id: 'rsp-shop', name: 'k8s/31080/web/shop/c-shop-120' }],
  });
  return { playbook: parsePlaybook(text, 'shop.yaml'), seed };
}
