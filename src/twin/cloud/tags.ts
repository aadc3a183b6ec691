import { refuse } from './errors.js';
import type { Parameters } from './parameters.js';
import type { Tags } from './state.js';

const KEY_LENGTH = 128;

export function checkKey(key: string): void {
  if (key === '' || key.length > KEY_LENGTH || /^(aliyun|acs:)/i.test(key) || /https?:\/\//.test(key))
    refuse(400, 'InvalidTagKey.Malformed', 'The specified tag key is not valid.');
}

/** Adds `wanted`, or refuses when the resource would carry more than `limit`. */
export function addTags(tags: Tags, wanted: { key: string; value: string | undefined }[], limit: number): void {
  for (const { key } of wanted) checkKey(key);
  if (new Set(wanted.map((it) => it.key)).size < wanted.length)
    refuse(400, 'Duplicate.TagKey', 'The Tag.N.Key contain duplicate key.');
  const after = new Set([...Object.keys(tags), ...wanted.map((it) => it.key)]);
  if (after.size > limit) refuse(400, 'NumberExceed.Tags', `A resource carries at most ${limit} tags.`);
  for (const { key, value } of wanted) tags[key] = value ?? '';
}

/** Tag.N of a request that creates something. */
export function newTags(parameters: Parameters, limit: number): Tags {
  const tags: Tags = {};
  addTags(tags, parameters.tags() ?? [], limit);
  return tags;
}

/** Whether all of the filter's tags are there; one without a value asks for the key alone. */
export function carries(tags: Tags, filter: { key: string; value: string | undefined }[] | undefined): boolean {
  return (filter ?? []).every(
    ({ key, value }) => key in tags && (value === undefined || value === '' || tags[key] === value),
  );
}

export const tagList = (tags: Tags): { TagKey: string; TagValue: string }[] =>
  Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
