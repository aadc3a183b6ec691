import type { Check, Finding, Sight } from '../../src/check.js';
import { about } from '../about.js';
import { fronts, type Front } from '../fronts.js';
import { selects, WORKLOADS, workloads, workloadFields } from '../pods.js';

/**
 * Without a readiness probe a pod is ready as soon as its process has started. The controller adds it to the group at once,
 * and the first requests of every step meet a pod that cannot answer yet.
 *
 * @source https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#when-should-you-use-a-readiness-probe
 */
export const podReadiness: Check = {
  id: 'pod-readiness',
  group: 'workloads',
  asks: 'Do the pods behind each moved Service say when they can serve?',
  before: 'traffic',
  severity: 'warn',
  when: ['traffic'],
  reads: { source: ['Service', ...WORKLOADS], target: ['Service'] },
  takes: { ...workloadFields(['metadata.labels', 'spec.containers.readinessProbe']), Service: 'named' },
  hint: {
    why: 'Without a readiness probe a starting pod gets requests before it can answer them, at each step and each roll-out.',
    fix: 'Add a readinessProbe to the container that serves, and a preStop sleep of some seconds.',
  },
  zh: {
    asks: '每个被迁移 Service 背后的 Pod 是否配置了就绪探针？',
    why: '没有就绪探针的 Pod 一启动就会收到请求，每次放量、每次发布都会出现失败。',
    fix: '为提供服务的容器添加 readinessProbe，并设置几秒的 preStop sleep。',
  },
  sources: ['https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#when-should-you-use-a-readiness-probe'],

  look: (sight) => fronts(sight).flatMap((it) => behind(it, sight)),
};

function behind(front: Front, { source }: Sight): Finding[] {
  const selector: Record<string, string> | undefined = front.source?.['spec']?.selector;
  if (!front.source || !selector) return []; // endpoints made by hand: there is nothing to ask
  const pods = workloads(source, [front.namespace]).filter((it) => selects(selector, it.labels));
  if (pods.length === 0)
    return [
      {
        about: front.about,
        saw: 'no workload has the labels of its selector',
        want: Object.entries(selector)
          .map((it) => it.join('='))
          .join(','),
      },
    ];
  return pods
    .filter(({ spec }) => !spec.containers?.some((it) => it.readinessProbe !== undefined))
    .map(({ object }) => ({
      about: about(object),
      saw: `no container has a readinessProbe; serves ${front.asked.service}`,
    }));
}
