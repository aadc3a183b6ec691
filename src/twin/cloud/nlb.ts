import type { Json } from '../types.js';
import { groupActions } from './nlb/groups.js';
import { listenerActions } from './nlb/listeners.js';
import { loadBalancerActions } from './nlb/load-balancers.js';
import { nlbRefusals, notFound } from './nlb/refusals.js';
import { settleJobs } from './nlb/state.js';
import type { Action, Product } from './product.js';
import { regionList } from './regions.js';
import { tagActions } from './tag-actions.js';

const jobActions: Record<string, Action> = {
  GetJobStatus: {
    requires: ['JobId'],
    run(parameters, { state }) {
      const id = parameters.required('JobId');
      const job = state.nlb.jobs.get(id) ?? notFound('JobId', id);
      // One action says `processing` in small letters, the other `Processing`.
      return { Status: job.status === 'Processing' ? 'processing' : job.status };
    },
  },

  ListAsynJobs: {
    run(parameters, { state }) {
      const ids = parameters.list('JobIds');
      const jobs = [...state.nlb.jobs.values()].filter((it) => ids === undefined || ids.includes(it.id));
      return { TotalCount: String(jobs.length), Jobs: jobs.map(({ id, status }) => ({ Id: id, Status: status })) };
    },
  },

  DescribeRegions: {
    run: (_, { state }) => ({
      Regions: regionList(state).map(({ id, name }) => ({
        RegionId: id,
        LocalName: name,
        RegionEndpoint: `nlb.${id}.aliyuncs.com`,
      })),
    }),
  },
};

const tags = tagActions((type, { state }) => {
  if (type === 'loadbalancer') return state.nlb.loadBalancers.values();
  if (type === 'servergroup') return state.nlb.groups.values();
  if (type !== 'listener') return undefined;
  return [...state.nlb.loadBalancers.values()].flatMap(({ region, listeners }) =>
    listeners.map(({ id, tags: own }) => ({ id, region, tags: own })),
  );
});

const listTagResources: Action = {
  ...tags['ListTagResources']!,
  run(parameters, context) {
    const { NextToken, TagResources } = tags['ListTagResources']!.run(parameters, context);
    const rows: Json[] = TagResources.TagResource;
    return { NextToken, TotalCount: rows.length, TagResources: rows };
  },
};

/** Before anything else, what the jobs that are over by now have brought about. */
const settled = (actions: Readonly<Record<string, Action>>): Readonly<Record<string, Action>> =>
  Object.fromEntries(
    Object.entries(actions).map(([name, action]) => [
      name,
      {
        ...action,
        run(parameters, context) {
          settleJobs(context.state.nlb, context.clock.now());
          return action.run(parameters, context);
        },
      } satisfies Action,
    ]),
  );

/** Network Load Balancer. Its writes are jobs. */
export const nlb: Product = {
  name: 'Nlb',
  version: '2022-04-30',
  refusals: nlbRefusals,
  tokenMismatch: { status: 400, code: 'IdempotenceSignatureMismatch' },
  actions: settled({
    ...loadBalancerActions,
    ...listenerActions,
    ...groupActions,
    ...jobActions,
    ...tags,
    ListTagResources: listTagResources,
  }),
};
