import type { ClusterApi, TwinCloud, TwinObject, WatchEvent } from '../types.js';
import { runAutoscalers } from './autoscalers.js';
import { runDeployments, runReplicaSets } from './deployments.js';
import { runEndpoints } from './endpoints.js';
import { follow, type Followed } from './follow.js';
import { runCronJobs, runJobs } from './jobs.js';
import { pathsOn, type View, VIEW_KINDS, type ViewKind, type WorkloadOptions } from './objects.js';
import { runKubelets, runScheduler } from './pods.js';
import type { ControllerClock } from './queue.js';
import { eventRecorder } from './record.js';
import { runDaemonSets, runStatefulSets } from './statefulsets.js';
import { runAttacher, runBinder } from './volumes.js';

export type { WorkloadOptions } from './objects.js';

const DEFAULTS: WorkloadOptions = {
  podNetwork: 'overlay',
  podReadyMs: 3_000,
  terminationMs: 2_000,
  jobMs: 3_000,
  attachMs: 1_500,
  pool: 0,
};

/**
 * What a controller manager, a scheduler, the kubelets and the disks' CSI driver do for the workloads of one of the twin's clusters.
 * Real clusters have their own.
 */
export async function startWorkloads(
  api: ClusterApi,
  clock: ControllerClock,
  cloud: TwinCloud | undefined,
  options: Partial<WorkloadOptions> = {},
): Promise<{ stop(): void }> {
  const path = pathsOn(api);
  const followed = new Map<ViewKind, Followed>();
  const listeners = new Map<ViewKind, ((event: WatchEvent, before: TwinObject | undefined) => void)[]>();
  const view: View = {
    api,
    clock,
    cloud,
    options: { ...DEFAULTS, ...options },
    record: eventRecorder(api, clock, 'twin'),
    path,
    of: (kind) => followed.get(kind)!,
    on: (kind, listener) => void listeners.set(kind, [...(listeners.get(kind) ?? []), listener]),
  };

  const attacher = runAttacher(view);
  const running = [
    attacher,
    runBinder(view),
    runScheduler(view),
    runKubelets(view, attacher),
    runDeployments(view),
    runReplicaSets(view),
    runStatefulSets(view),
    runDaemonSets(view),
    runJobs(view),
    runCronJobs(view),
    runEndpoints(view),
    runAutoscalers(view),
  ];
  // Every kind is known before the first object is acted on.
  const held: (() => void)[] = [];
  let open = false;
  for (const kind of VIEW_KINDS) {
    const tell = listeners.get(kind) ?? [];
    const on = (event: WatchEvent, before: TwinObject | undefined): void => {
      for (const listener of tell)
        if (open) listener(event, before);
        else held.push(() => listener(event, before));
    };
    followed.set(kind, await follow(api, path(kind), on));
  }
  open = true;
  for (const run of held) run();

  return {
    stop() {
      for (const it of running) it.stop();
      for (const it of followed.values()) it.stop();
    },
  };
}
