import type { TwinObject } from '../types.js';
import type { Conversion } from './convert.js';
import { conversionFor, fromStored, toStored } from './convert.js';
import { freezeJson } from './json.js';
import type { Shape } from './shapes.js';
import { shapeOf } from './shapes.js';
import type { KindRow } from './served.js';
import { compareVersions, GROUP_ORDER, KIND_ROWS } from './served.js';

/** What is stored once, under however many groups and versions it is served. */
export interface StoredKind {
  /** `group/resource` of the group it is at home in */
  key: string;
  group: string;
  kind: string;
  resource: string;
  namespaced: boolean;
  /** the form in which the store keeps it */
  apiVersion: string;
  /** has a status subresource: writes to the object leave status alone, and the other way round */
  hasStatus: boolean;
  /** what makes metadata.generation go up: changes of spec, of anything but metadata, or nothing */
  generation: 'spec' | 'all' | 'none';
  custom: boolean;
}

export interface Scale {
  replicas: string;
  statusReplicas: string;
  /** of a label selector (built-in kinds) or of a string (custom resources) */
  selector?: string;
}

export interface Column {
  name: string;
  type: string;
  jsonPath: string;
  description?: string;
  format?: string;
  priority?: number;
}

/** One group, version and resource, as in a URL. */
export interface Served {
  /** `v1/services`, `apps/v1/deployments` */
  path: string;
  group: string;
  version: string;
  apiVersion: string;
  resource: string;
  singular: string;
  kind: string;
  listKind: string;
  namespaced: boolean;
  short: string[];
  categories: string[];
  subresources: ReadonlySet<string>;
  verbs: string[];
  createOnly: boolean;
  stored: StoredKind;
  scale?: Scale;
  /** how its lists merge */
  shape: Shape;
  /** custom resources: their own columns and, if the definition prunes, their schema */
  columns?: Column[];
  schema?: unknown;
  /** takes over an object of the caller's own */
  toStored(object: TwinObject): TwinObject;
  /** frozen, and the same object for the same stored one */
  fromStored(object: TwinObject): TwinObject;
  /** the same of an object that is still open: a copy, not kept */
  viewOf(object: TwinObject): TwinObject;
}

export const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** Kinds whose generation counts changes of spec. Others have none. */
const WITH_GENERATION = new Set([
  'daemonsets',
  'deployments',
  'replicasets',
  'statefulsets',
  'replicationcontrollers',
  'jobs',
  'cronjobs',
  'ingresses',
  'ingressclasses',
  'networkpolicies',
  'poddisruptionbudgets',
  'customresourcedefinitions',
  'flowschemas',
  'prioritylevelconfigurations',
  'podtemplates',
]);

/** Kinds without spec whose generation counts any change. */
const WITH_GENERATION_OF_ALL = new Set([
  'endpointslices',
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'priorityclasses',
]);

const WORKLOAD_SCALE: Scale = {
  replicas: 'spec.replicas',
  statusReplicas: 'status.replicas',
  selector: 'spec.selector',
};

export const apiVersionOf = (group: string, version: string): string =>
  group === '' ? version : `${group}/${version}`;

interface ServedFields extends Omit<Served, 'path' | 'apiVersion' | 'listKind' | 'toStored' | 'fromStored' | 'viewOf'> {
  listKind?: string;
  conversion?: Conversion | undefined;
}

export function makeServed({ conversion, ...fields }: ServedFields): Served {
  const apiVersion = apiVersionOf(fields.group, fields.version);
  const views = new WeakMap<TwinObject, TwinObject>();
  return {
    listKind: `${fields.kind}List`,
    ...fields,
    path: `${apiVersion}/${fields.resource}`,
    apiVersion,
    toStored: (object) => toStored(object, fields.stored.apiVersion, conversion),
    viewOf: (object) => fromStored(object, apiVersion, conversion),
    fromStored(object) {
      if (object.apiVersion === apiVersion) return object;
      const known = views.get(object);
      if (known) return known;
      const view = freezeJson(fromStored(object, apiVersion, conversion));
      views.set(object, view);
      return view;
    },
  };
}

function storedKind(row: KindRow): StoredKind {
  const [newest = 'v1'] = Object.keys(row.versions).toSorted((a, b) => compareVersions(row.group, a, b));
  return {
    key: `${row.group}/${row.resource}`,
    group: row.group,
    kind: row.kind,
    resource: row.resource,
    namespaced: row.namespaced,
    apiVersion: apiVersionOf(row.group, newest),
    hasStatus: row.subresources.includes('status'),
    generation: WITH_GENERATION.has(row.resource) ? 'spec' : WITH_GENERATION_OF_ALL.has(row.resource) ? 'all' : 'none',
    custom: false,
  };
}

function verbsOf(row: KindRow): string[] {
  if (row.createOnly) return ['create'];
  if (row.readOnly) return ['get', 'list'];
  return row.resource === 'namespaces' ? ALL_VERBS.filter((verb) => verb !== 'deletecollection') : ALL_VERBS;
}

/** Everything that one API server serves at a time; kinds of custom resources come and go. */
export class Kinds {
  readonly minor: number;
  readonly #served = new Map<string, Served>();
  readonly #stored = new Map<string, StoredKind>();

  constructor(minor: number) {
    this.minor = minor;
    for (const row of KIND_ROWS)
      if (row.home === row.group) this.#stored.set(`${row.group}/${row.resource}`, storedKind(row));
    for (const row of KIND_ROWS) this.#addRow(row);
  }

  #addRow(row: KindRow): void {
    const stored = this.#stored.get(`${row.home}/${row.resource}`);
    if (!stored) throw new Error(`no home for ${row.resource}.${row.group}`);
    for (const [version, [first, last]] of Object.entries(row.versions)) {
      if (this.minor < first || (last !== undefined && this.minor > last)) continue;
      this.add(
        makeServed({
          group: row.group,
          version,
          resource: row.resource,
          singular: row.kind.toLowerCase(),
          kind: row.kind,
          namespaced: row.namespaced,
          short: row.short,
          categories: row.categories,
          subresources: new Set(row.subresources),
          verbs: verbsOf(row),
          createOnly: row.createOnly,
          stored,
          shape: shapeOf(row.kind),
          ...(row.subresources.includes('scale') && { scale: WORKLOAD_SCALE }),
          conversion: conversionFor(stored.key, apiVersionOf(row.group, version)),
        }),
      );
    }
  }

  add(served: Served): void {
    this.#served.set(served.path, served);
  }

  remove(path: string): void {
    this.#served.delete(path);
  }

  /** @param path  `v1/services` or `apps/v1/deployments` */
  get(path: string): Served | undefined {
    return this.#served.get(path);
  }

  all(): Served[] {
    return [...this.#served.values()];
  }

  /** Any version under which a stored kind is served here, the preferred one first. */
  ofStored(key: string): Served | undefined {
    return this.all()
      .filter((it) => it.stored.key === key)
      .toSorted((a, b) => compareVersions(a.group, a.version, b.version))[0];
  }

  /** The group's preferred version if it has the resource, else the first that has it. */
  preferredOf(group: string, resource: string): string | undefined {
    return this.all()
      .filter((it) => it.group === group && it.resource === resource)
      .toSorted((a, b) => compareVersions(group, a.version, b.version))[0]?.version;
  }

  /** @returns the kind an object names by apiVersion and kind */
  ofObject(apiVersion: string, kind: string): Served | undefined {
    return this.all().find((it) => it.apiVersion === apiVersion && it.kind === kind);
  }

  /** Named groups in the order of discovery, each with its versions, the preferred one first. */
  groups(): { group: string; versions: string[] }[] {
    const versions = new Map<string, Set<string>>();
    for (const { group, version } of this.#served.values()) {
      if (group === '') continue;
      const known = versions.get(group) ?? new Set();
      versions.set(group, known.add(version));
    }
    const place = (group: string): number => {
      const index = GROUP_ORDER.indexOf(group);
      return index < 0 ? GROUP_ORDER.length : index;
    };
    return [...versions]
      .map(([group, set]) => ({ group, versions: [...set].toSorted((a, b) => compareVersions(group, a, b)) }))
      .toSorted((a, b) => place(a.group) - place(b.group) || (a.group < b.group ? -1 : 1));
  }
}
