import { attachActions } from './ecs/attaching.js';
import { availableActions } from './ecs/available.js';
import { copyActions } from './ecs/copies.js';
import { diskActions } from './ecs/disks.js';
import { instanceActions } from './ecs/instances.js';
import { securityGroupActions } from './ecs/security-groups.js';
import { snapshotActions } from './ecs/snapshots.js';
import { missing } from './parameters.js';
import type { Action, Context, Product } from './product.js';
import { addTags } from './tags.js';
import { tagActions, type Tagged } from './tag-actions.js';
import { refuse } from './errors.js';

function tagged(type: string, { state }: Context): Iterable<Tagged> | undefined {
  switch (type) {
    case 'disk':
      return state.disks.values();
    case 'snapshot':
      return state.snapshots.values();
    case 'instance':
      return state.instances.values();
    case 'eni':
      return state.interfaces.values();
    default:
      return undefined;
  }
}

/** The older pair, one resource a call. */
function legacyTags(
  change: (it: Tagged, tags: { key: string; value: string | undefined }[], limit: number) => void,
): Action {
  return {
    requires: ['RegionId', 'ResourceType', 'ResourceId'],
    run(parameters, context) {
      const all =
        tagged(parameters.required('ResourceType'), context) ??
        refuse(400, 'InvalidResourceType.NotFound', 'The ResourceType provided does not exist in our records.');
      const it = [...all].find(({ id }) => id === parameters.required('ResourceId'));
      if (!it) return refuse(404, 'InvalidResourceId.NotFound', 'The specified ResourceId does not exist.');
      change(it, parameters.tags() ?? missing('Tag'), context.limits.tagsPerResource);
      return {};
    },
  };
}

/** Elastic Compute Service: disks, snapshots, and what the controller reads of instances and interfaces. */
export const ecs: Product = {
  name: 'Ecs',
  version: '2014-05-26',
  tokenMalformed: { status: 403, code: 'InvalidClientToken.Malformed' },
  tokenUnderWay: (action) => ({
    status: 403,
    code: action === 'CreateDisk' ? 'LastTokenProcessing' : 'IdempotentProcessing',
  }),
  countsByMinute: true,
  actions: {
    ...snapshotActions,
    ...copyActions,
    ...diskActions,
    ...attachActions,
    ...instanceActions,
    ...availableActions,
    ...securityGroupActions,
    ...tagActions(tagged),
    AddTags: legacyTags((it, tags, limit) => addTags(it.tags, tags, limit)),
    RemoveTags: legacyTags((it, tags) => {
      for (const { key } of tags) delete it.tags[key];
    }),
  },
};
