import type { Check, Finding } from '../../src/check.js';
import { about } from '../about.js';
import { jobIsFinished } from '../pods.js';

/**
 * Jobs stay behind: a finished one has nothing to do, and one that runs would be started again from its beginning. So what
 * still runs must come to its end on the source.
 *
 * @source https://github.com/vmware-tanzu/velero/issues/8801
 */
export const unfinishedJobs: Check = {
  id: 'unfinished-jobs',
  group: 'workloads',
  asks: 'Has every Job come to its end?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: ['Job.batch'] },
  takes: { 'Job.batch': 'each' },
  hint: {
    why: 'Jobs are not brought to the target: what waits for one that still runs waits there in vain.',
    fix: 'Wait until it has finished, or run it on the target by hand afterwards. The plan waits for it before CronJobs change sides, or leaves it (`data.jobs`).',
  },
  zh: {
    asks: '所有 Job 是否都已执行完毕？',
    why: 'Job 不会被迁移：目标集群里等待其结果的一方会一直等下去。',
    fix: '等它执行完再迁移，或之后在目标集群手工执行。CronJob 切换前计划会等待它，或按 `data.jobs` 不等待。',
  },
  sources: ['https://github.com/vmware-tanzu/velero/issues/8801', 'https://github.com/vmware-tanzu/velero/issues/3519'],

  look: ({ source, namespaces }) =>
    source
      .list('Job.batch', namespaces)
      .filter(
        (it) =>
          !jobIsFinished(it) &&
          it['spec']?.suspend !== true &&
          !it.metadata.ownerReferences?.some((owner) => owner.kind === 'CronJob'),
      )
      .map((it): Finding => {
        const hook = it.metadata.annotations?.['helm.sh/hook'];
        return {
          about: about(it),
          saw: `it has not finished${hook === undefined ? '' : `; a Helm hook (${hook})`}`,
          want: 'Complete or Failed',
          breaks: 'it is not on the target',
        };
      }),
};
