import { refuse } from './errors.js';
import { tokenPageOf } from './paging.js';
import { missing, type Parameters } from './parameters.js';
import type { Action, Context } from './product.js';
import type { Tags } from './state.js';
import { addTags, carries } from './tags.js';

export interface Tagged {
  id: string;
  region: string;
  tags: Tags;
}

/** Things that carry tags, by the ResourceType of the request. */
export type TaggedResources = (type: string, context: Context) => Iterable<Tagged> | undefined;

const MAX_RESOURCES = 50;

function typeOf(parameters: Parameters, resources: TaggedResources, context: Context): { type: string; all: Tagged[] } {
  const type = parameters.required('ResourceType');
  const found = resources(type, context);
  if (!found)
    return refuse(400, 'InvalidResourceType.NotFound', 'The ResourceType provided does not exist in our records.');
  const region = parameters.text('RegionId');
  return { type, all: [...found].filter((it) => region === undefined || it.region === region) };
}

function named(parameters: Parameters, resources: TaggedResources, context: Context): Tagged[] {
  const ids = parameters.list('ResourceId') ?? missing('ResourceId');
  if (ids.length > MAX_RESOURCES)
    refuse(400, 'NumberExceed.ResourceIds', `At most ${MAX_RESOURCES} resources in one call.`);
  const { all } = typeOf(parameters, resources, context);
  return ids.map(
    (id) =>
      all.find((it) => it.id === id) ??
      refuse(404, 'InvalidResourceId.NotFound', `The specified ResourceId ${id} does not exist.`),
  );
}

/** TagResources, UntagResources and ListTagResources, which all products share. */
export function tagActions(resources: TaggedResources): Record<string, Action> {
  return {
    TagResources: {
      requires: ['RegionId', 'ResourceType'],
      run(parameters, context) {
        const wanted = parameters.tags() ?? missing('Tag');
        const found = named(parameters, resources, context);
        // First all, so that the call changes everything or nothing.
        for (const it of found) addTags({ ...it.tags }, wanted, context.limits.tagsPerResource);
        for (const it of found) addTags(it.tags, wanted, context.limits.tagsPerResource);
        return {};
      },
    },

    UntagResources: {
      requires: ['RegionId', 'ResourceType'],
      run(parameters, context) {
        const keys = parameters.list('TagKey');
        const all = parameters.flag('All') ?? false;
        if (!keys && !all) missing('TagKey');
        for (const { tags } of named(parameters, resources, context)) {
          for (const key of keys ?? Object.keys(tags)) delete tags[key];
        }
        return {};
      },
    },

    ListTagResources: {
      requires: ['RegionId', 'ResourceType'],
      run(parameters, context) {
        const { type, all } = typeOf(parameters, resources, context);
        const ids = parameters.list('ResourceId');
        const filter = parameters.tags();
        if (!ids && !filter) missing('ResourceId');
        const rows = all
          .filter((it) => (ids === undefined || ids.includes(it.id)) && carries(it.tags, filter))
          .flatMap((it) =>
            Object.entries(it.tags).map(([TagKey, TagValue]) => ({
              ResourceId: it.id,
              ResourceType: type,
              TagKey,
              TagValue,
            })),
          );
        const page = tokenPageOf(rows, parameters, 50, 1000);
        return { NextToken: page.fields['NextToken'], TagResources: { TagResource: page.items } };
      },
    },
  };
}
