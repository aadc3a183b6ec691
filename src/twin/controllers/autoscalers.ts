import { isGoing, type View } from './objects.js';
import { workQueue } from './queue.js';

const DELAY_MS = 25;

/**
 * HorizontalPodAutoscalers without metrics: they keep a workload between minimum and maximum, and leave one at 0 alone. Load is not played,
 * so nothing else moves.
 *
 * @source kubernetes/kubernetes:pkg/controller/podautoscaler/horizontal.go reconcileAutoscaler (ScalingDisabled, TooFewReplicas, TooManyReplicas)
 */
export function runAutoscalers(view: View): { stop(): void } {
  const { api, clock } = view;
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  const PLURALS: Record<string, 'deployments' | 'statefulsets'> = {
    Deployment: 'deployments',
    StatefulSet: 'statefulsets',
  };
  const keyOf = (it: { metadata: { namespace?: string; name: string } }) =>
    `${it.metadata.namespace}/${it.metadata.name}`;
  view.on('horizontalpodautoscalers', ({ object }) => queue.add(keyOf(object)));
  for (const kind of ['deployments', 'statefulsets'] as const)
    view.on(kind, ({ object }) => {
      for (const it of view.of('horizontalpodautoscalers').all())
        if (
          it.metadata.namespace === object.metadata.namespace &&
          it['spec'].scaleTargetRef?.name === object.metadata.name
        )
          queue.add(keyOf(it));
    });

  async function reconcile(key: string): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    const scaler = view.of('horizontalpodautoscalers').get(namespace, name);
    if (!scaler || isGoing(scaler)) return;
    const { scaleTargetRef, minReplicas = 1, maxReplicas } = scaler['spec'];
    const kind = PLURALS[scaleTargetRef?.kind];
    const workload = kind && view.of(kind).get(namespace, scaleTargetRef.name);
    if (!workload || isGoing(workload)) return;
    const replicas = workload['spec'].replicas ?? 1;
    const wanted = replicas === 0 ? 0 : Math.min(maxReplicas, Math.max(minReplicas, replicas));
    if (wanted !== replicas)
      await api.mergePatch(view.path(kind), namespace, workload.metadata.name, { spec: { replicas: wanted } });
  }

  return { stop: () => queue.stop() };
}
