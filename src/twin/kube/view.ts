import type { Json, TwinObject } from '../types.js';
import type { Moment, TableColumn } from './columns.js';
import { AGE, ageAt, columnsOf, NAME } from './columns.js';
import { cloneJson } from './json.js';
import { firstAt } from './jsonpath.js';
import type { Column, Served } from './kinds.js';
import type { Store } from './store.js';

/** Another form in which objects are shown than as themselves. */
export interface View {
  one(object: TwinObject): Json;
  many(objects: TwinObject[], metadata: Json): Json;
}

const PART = /;\s*as=(Table|PartialObjectMetadataList|PartialObjectMetadata)\b/;
const VERSION = /;\s*v=(v1beta1|v1)\b/;

/**
 * @param accept  the header: the first form in it that we know wins
 * @returns undefined for plain objects
 */
export function viewOf(store: Store, served: Served, accept: string, query: URLSearchParams): View | undefined {
  for (const part of accept.split(',')) {
    if (part.includes('protobuf') || part.includes('cbor')) continue;
    const form = PART.exec(part)?.[1];
    const apiVersion = `meta.k8s.io/${VERSION.exec(part)?.[1] ?? 'v1'}`;
    if (form === 'Table') return tableView(store, served, apiVersion, query.get('includeObject') ?? 'Metadata');
    if (form !== undefined) return metadataView(served, apiVersion);
    if (/^\s*(application\/json|\*\/\*|application\/\*)\s*(;.*)?$/.test(part) && !part.includes('as='))
      return undefined;
  }
  return undefined;
}

const partial = (object: TwinObject, apiVersion: string): Json => ({
  kind: 'PartialObjectMetadata',
  apiVersion,
  metadata: object.metadata,
});

function metadataView(_served: Served, apiVersion: string): View {
  return {
    one: (object) => partial(object, apiVersion),
    many: (objects, metadata) => ({
      kind: 'PartialObjectMetadataList',
      apiVersion,
      metadata,
      items: objects.map((object) => partial(object, apiVersion)),
    }),
  };
}

function customColumn({ name, type, format, description, priority, jsonPath }: Column): TableColumn {
  return {
    name,
    type,
    ...(format !== undefined && { format }),
    ...(description !== undefined && { description }),
    ...(priority !== undefined && { priority }),
    cell(object, moment) {
      const value = firstAt(object, jsonPath);
      if (value === undefined) return type === 'date' ? '<unknown>' : null;
      if (type === 'date') return ageAt(value, moment);
      return type === 'string' && typeof value !== 'string' ? JSON.stringify(value) : value;
    },
  };
}

function tableView(store: Store, served: Served, apiVersion: string, include: string): View {
  const own = served.columns?.map(customColumn);
  const columns = served.stored.custom ? [NAME, ...(own ?? [AGE])] : columnsOf(served.stored.key);
  const columnDefinitions = columns.map(({ name, type, format = '', description = '', priority = 0 }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));

  const rowOf = (object: TwinObject, moment: Moment): Json => {
    const kept = include === 'Object' ? object : include === 'None' ? undefined : partial(object, apiVersion);
    // Columns are named over the stored form of built-in kinds.
    const source =
      object.apiVersion === served.stored.apiVersion || served.stored.custom
        ? object
        : served.toStored(cloneJson(object));
    return { cells: columns.map((column) => column.cell(source, moment) ?? null), ...(kept && { object: kept }) };
  };

  const table = (objects: TwinObject[], metadata: Json): Json => {
    const moment = { now: store.clock.now() };
    return {
      kind: 'Table',
      apiVersion,
      metadata,
      columnDefinitions,
      rows: objects.map((object) => rowOf(object, moment)),
    };
  };

  return { one: (object) => table([object], { resourceVersion: object.metadata.resourceVersion }), many: table };
}
