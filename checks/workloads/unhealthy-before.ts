import type { Check, Finding } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';

/**
 * A workload that is sick before the move is sick after it, and then the move is blamed. It also hides what the move
 * itself breaks.
 *
 * @source https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
 */
export const unhealthyBefore: Check = {
  id: 'unhealthy-before',
  group: 'workloads',
  asks: 'Is everything that moves healthy where it is now?',
  before: 'data',
  severity: 'warn',
  reads: { source: ['Deployment.apps', 'StatefulSet.apps'] },
  takes: { 'Deployment.apps': 'each', 'StatefulSet.apps': 'each' },
  hint: {
    why: 'What was not ready before cannot be told from what the move has broken.',
    fix: 'Heal it first, scale it to 0 if nobody needs it, or leave it out of the move.',
  },
  zh: {
    asks: '要迁移的工作负载目前是否全部健康？',
    why: '迁移前就未就绪的工作负载，迁移后无法分辨是不是迁移造成的问题。',
    fix: '先修复；没人用的缩容到 0，或不纳入本次迁移。',
  },
  sources: ['https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status'],

  look: ({ source, namespaces }) =>
    ['Deployment.apps', 'StatefulSet.apps'].flatMap((kind) => source.list(kind, namespaces).flatMap(sickness)),
};

function sickness(object: KubeObject): Finding[] {
  const wanted = Number(object['spec']?.replicas ?? 1);
  const ready = Number(object['status']?.readyReplicas ?? 0);
  if (ready >= wanted) return [];
  const conditions: { type: string; status: string; reason?: string }[] = object['status']?.conditions ?? [];
  const reason = conditions.find((it) => it.status === 'False' || it.type === 'ReplicaFailure')?.reason;
  return [
    { about: about(object), saw: `${ready} of ${wanted} ready${reason ? `: ${reason}` : ''}`, want: `${wanted} ready` },
  ];
}
