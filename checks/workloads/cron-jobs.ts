import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';

/**
 * A schedule runs where its cluster is, whatever weights say: of one that is awake on both sides each run happens twice. The
 * plan brings them suspended and changes sides in one step, which hands over the time of the last run; what is there before it is not of
 * its making.
 *
 * @source https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
 */
export const cronJobs: Check = {
  id: 'cron-jobs',
  group: 'workloads',
  asks: 'Does every CronJob run on one side alone, at the times that it means?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: ['CronJob.batch'], target: ['CronJob.batch'] },
  takes: { 'CronJob.batch': 'each', 'target CronJob.batch': ['spec.suspend'] },
  hint: {
    why: 'A CronJob that is awake in both clusters does its work twice; one whose schedule names a zone in the old way is refused.',
    fix: 'Suspend the target’s until it changes sides; write the zone as spec.timeZone.',
  },
  zh: {
    asks: '每个 CronJob 是否只在一侧运行，并且按预期的时间运行？',
    why: '两个集群都未暂停的 CronJob 会把同一件事做两遍；用旧写法指定时区的 schedule 会被拒绝。',
    fix: '切换之前先暂停目标集群的 CronJob；时区改写为 spec.timeZone。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/',
    'KEP-3140 (timeZone)',
    'kubernetes/kubernetes:pkg/apis/batch/validation/validation.go',
  ],

  look: (sight) =>
    sight.source.list('CronJob.batch', sight.namespaces).flatMap((it) => [...twice(it, sight), ...zone(it, sight)]),
};

const isAwake = (it: KubeObject | undefined) => it !== undefined && it['spec']?.suspend !== true;

function twice(it: KubeObject, { target }: Sight): Finding[] {
  const there = target.get('CronJob.batch', it.metadata.namespace, it.metadata.name);
  return isAwake(it) && isAwake(there)
    ? [
        {
          about: about(it),
          severity: 'refuse',
          saw: 'awake on both sides',
          want: 'suspend: true on the target',
          breaks: 'each run happens twice',
        },
      ]
    : [];
}

/** From 1.29 on. @source kubernetes/kubernetes:pkg/apis/batch/validation/validation.go */
function zone(it: KubeObject, { target }: Sight): Finding[] {
  const schedule = String(it['spec']?.schedule ?? '');
  return /(^|\s)(CRON_)?TZ=/.test(schedule) && target.minor() >= 29
    ? [
        {
          about: about(it),
          severity: 'refuse',
          saw: `schedule "${schedule}"`,
          want: 'the zone in spec.timeZone',
          breaks: 'it cannot be created on the target',
        },
      ]
    : [];
}
