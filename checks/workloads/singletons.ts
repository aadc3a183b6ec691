import type { Check, Finding, Sight } from '../../src/check.js';
import { namesClaim } from '../../src/disk-entry.js';
import { usersOf } from '../../src/disk-writers.js';
import { heldWorkloads } from '../../src/one-side.js';
import { pathOf } from '../../src/objects.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';
import { isRewritten, volumesOfClaims } from '../disks.js';
import { EACH_WORKLOAD, replicasOf, selects, textsOf, WORKLOADS, workloads, type Workload } from '../pods.js';

/**
 * Weights share out requests. What takes its work from elsewhere (a queue, a table, a schedule of its own) or was made to be
 * alone is started on the target by a step of the plan, and from then on there are two of it.
 *
 * @source https://kubernetes.io/docs/concepts/architecture/leases/ (a lock of one cluster says nothing in another)
 */
export const singletons: Check = {
  id: 'singletons',
  group: 'workloads',
  asks: 'Does anything run on both sides at once that was made to be alone?',
  before: 'traffic',
  severity: 'warn',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Service', 'PersistentVolumeClaim', 'PersistentVolume'], target: ['Node'] },
  also: { source: [SCALER()] },
  takes: { ...EACH_WORKLOAD, Service: ['spec.selector'] },
  hint: {
    why: 'From the step that starts it on the target until the source is retired both do the work: messages are taken twice, or by the wrong one; locks and leaders are each cluster’s own.',
    fix: 'Name it under `data.oneSide` in the playbook: then it is stopped on the source before it starts on the target. Or waive it, where two do no harm.',
  },
  zh: {
    asks: '是否有本应只运行一份的工作负载会在两侧同时运行？',
    why: '从在目标集群启动到源集群下线之间，两份会同时工作：消息被重复消费或被错误的一侧消费；锁和选主只在各自集群内有效。',
    fix: '在 playbook 的 `data.oneSide` 中写明它：先在源集群停下，再在目标集群启动；确认同时运行无害的可豁免。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/architecture/leases/',
    'https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy',
  ],

  look(sight) {
    const handed = handedOver(sight);
    const served = servedBy(sight);
    const named = heldWorkloads(sight.playbook);
    const scaled = scaledByWork(sight);
    return workloads(sight.source, sight.namespaces)
      .filter(
        (it) =>
          (it.object.kind === 'Deployment' || it.object.kind === 'StatefulSet') &&
          (replicasOf(it) > 0 || scaled.has(nameOf(it))) &&
          !handed.has(nameOf(it)) &&
          !named.has(nameOf(it).replace(' ', '.apps ')),
      )
      .flatMap((it): Finding[] => {
        const saw = why(it, served.has(nameOf(it)), scaled.get(nameOf(it)));
        return saw === undefined
          ? []
          : [
              {
                about: about(it.object),
                saw,
                breaks: 'it works on both sides, from its start on the target until the source is retired',
              },
            ];
      });
  },
};

const nameOf = ({ object }: Workload) => `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`;

/** Whose disk is copied is stopped on the source for it, and stays so. */
function handedOver(sight: Sight): Set<string> {
  const { playbook, source } = sight;
  if (!playbook.cloud) return new Set();
  const stopped = volumesOfClaims(sight)
    .filter(({ claim, volume }) => volume && isRewritten(volume, sight) && !isFrozen(claim, sight))
    .flatMap(({ claim }) => usersOf(claim, source.inventory).workloads);
  return new Set(stopped.map((it) => `${it.kind.split('.')[0]} ${pathOf(it)}`));
}

/** Its writers hold still, and run on. */
const isFrozen = (claim: KubeObject, { playbook: { data } }: Sight): boolean =>
  data?.disks.rules.find((it) => namesClaim(it.claims, pathOf(claim.metadata)))?.freeze !== undefined;

function SCALER() {
  return 'ScaledObject.keda.sh';
}

/** Kinds of triggers that say nothing of a queue. @source https://keda.sh/docs/latest/scalers/ */
const LOAD =
  /^(cpu|memory|cron|prometheus|metrics-api|external(-push)?|kubernetes-workload|.*-monitor|.*-metrics?|.*cloudwatch)$/;

/** What KEDA starts as soon as there is work, with the trigger. */
function scaledByWork({ source, namespaces }: Sight): Map<string, string> {
  const scalers = source.seen(SCALER(), namespaces) ?? [];
  return new Map(
    scalers.flatMap(({ metadata, spec }) => {
      const { kind = 'Deployment', name } = (spec?.scaleTargetRef ?? {}) as { kind?: string; name?: string };
      const work = ((spec?.triggers ?? []) as { type: string }[]).find((it) => !LOAD.test(it.type));
      return work ? [[`${kind} ${metadata.namespace}/${name}`, work.type] as const] : [];
    }),
  );
}

/** Behind any Service: requests find it by name, and go to the one of their own cluster. */
function servedBy(sight: Sight): Set<string> {
  const services = new Map<string | undefined, KubeObject[]>(sight.namespaces.map((it) => [it, []]));
  for (const it of sight.source.list('Service', sight.namespaces)) services.get(it.metadata.namespace)?.push(it);
  const found = workloads(sight.source, sight.namespaces).filter((it) =>
    services.get(it.object.metadata.namespace)?.some((one) => selects(one['spec']?.selector, it.labels)),
  );
  return new Set(found.map(nameOf));
}

const QUEUES =
  /^env (?:\w+_)?(KAFKA|RABBIT(?:MQ)?|AMQP|ROCKETMQ|NATS|PULSAR|CELERY|SIDEKIQ|MQTT|ONS|MNS|SQS|ACTIVEMQ|BROKER|QUEUE|TOPIC|CONSUMER)(_|$)/;
/** Names of what works by itself. */
export const ALONE =
  /(^|[-_/])(scheduler|beat|cron|worker|consumer|migrat\w*|sync\w*|poller|crawler|dispatcher)([-_]|$)/;

function why(it: Workload, served: boolean, trigger: string | undefined): string | undefined {
  const { object } = it;
  if (trigger !== undefined) return `KEDA raises it by ${trigger}, also from 0: it takes its work from there`;
  const lock = textsOf(it).find(({ text }) => /^--(leader-elect(ion)?|enable-leader-election)(=true)?$/.test(text));
  if (lock) return 'it elects a leader; each cluster elects its own';
  const queue = textsOf(it).find(({ at }) => QUEUES.test(at));
  if (queue) return `${queue.at}: it takes its work from a queue, which no weight shares out`;
  if (
    object.kind === 'Deployment' &&
    Number(object['spec']?.replicas ?? 1) === 1 &&
    object['spec']?.strategy?.type === 'Recreate'
  )
    return 'one replica, strategy Recreate: made to be alone';
  if (!served && ALONE.test(object.metadata.name))
    return 'no Service chooses its pods, and its name is that of a worker';
  return undefined;
}
