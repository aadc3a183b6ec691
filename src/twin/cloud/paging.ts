import { refuse } from './errors.js';
import type { Parameters } from './parameters.js';

export interface Page<T> {
  items: T[];
  totalCount: number;
  /** PageNumber and PageSize, or NextToken and MaxResults, as the request asked */
  fields: Record<string, string | number>;
}

// The token says where the next page starts; nothing else is in it.
const tokenOf = (offset: number): string => Buffer.from(`from:${offset}`).toString('base64url');

function offsetOf(token: string): number {
  const match = /^from:(\d+)$/.exec(Buffer.from(token, 'base64url').toString());
  if (match) return Number(match[1]);
  return refuse(400, 'InvalidParameter.NextToken', 'The specified NextToken is not valid.');
}

/** NextToken and MaxResults when either is given, PageNumber and PageSize otherwise: ECS offers both. */
export function pageOf<T>(
  items: T[],
  parameters: Parameters,
  { size = 10, maxSize = 100, maxResults = 500, clamps = false } = {},
): Page<T> {
  if (parameters.text('MaxResults') !== undefined || parameters.text('NextToken') !== undefined) {
    return tokenPageOf(items, parameters, size, maxResults, clamps);
  }
  const pageSize = parameters.integer('PageSize', 1, maxSize) ?? size;
  const pageNumber = parameters.integer('PageNumber', 1, 1_000_000) ?? 1;
  const start = (pageNumber - 1) * pageSize;
  return {
    items: items.slice(start, start + pageSize),
    totalCount: items.length,
    fields: { PageNumber: pageNumber, PageSize: pageSize, TotalCount: items.length },
  };
}

/** @param clamps  a MaxResults below `size` counts as that, and one above `maxResults` as that: neither is refused */
export function tokenPageOf<T>(
  items: T[],
  parameters: Parameters,
  size: number,
  maxResults: number,
  clamps = false,
): Page<T> {
  const asked = parameters.integer('MaxResults', clamps ? 0 : 1, clamps ? Number.MAX_SAFE_INTEGER : maxResults) ?? size;
  const count = clamps ? Math.min(maxResults, Math.max(size, asked)) : asked;
  const token = parameters.text('NextToken');
  const start = token === undefined ? 0 : offsetOf(token);
  const more = start + count < items.length;
  return {
    items: items.slice(start, start + count),
    totalCount: items.length,
    fields: {
      MaxResults: count,
      PageSize: count,
      NextToken: more ? tokenOf(start + count) : '',
      TotalCount: items.length,
    },
  };
}
