import type { Json } from '../types.js';
import type { Served } from './kinds.js';
import type { Store } from './store.js';
import type { Answer } from './wire.js';
import { answer } from './wire.js';

/*
 * The schemas say which kinds can be patched and that a dry run is possible, and describe no fields. kubectl checks an object against
 * the schema only when it finds the type there, so every object passes and the server's own checks are the only ones.
 */

// Protobuf, as openapi.v2.Document: kubectl before 1.27 asks for nothing else (google/gnostic:openapiv2/OpenAPIv2.proto)

function lengthOf(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return [...bytes, left];
    bytes.push((left & 0x7f) | 0x80);
  }
}

/** One field of a message that holds text or another message. */
function field(number: number, ...content: (string | Buffer)[]): Buffer {
  const bytes = Buffer.concat(content.map((it) => Buffer.from(it)));
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...lengthOf(bytes.length)]), bytes]);
}

const DRY_RUN = field(8, field(1, field(2, field(3, field(2, 'query'), field(4, 'dryRun')))));

function patchOperation({ group, version, kind }: Served): Buffer {
  const gvk = field(1, 'x-kubernetes-group-version-kind');
  const yaml = field(2, field(2, JSON.stringify({ group, version, kind })));
  return field(8, DRY_RUN, field(13, gvk, yaml));
}

const documents = new WeakMap<Store, { of: number; bytes: Buffer }>();

function documentOf(store: Store): Buffer {
  const kinds = store.kinds.all();
  const known = documents.get(store);
  if (known?.of === kinds.length) return known.bytes;
  const paths = kinds.map((served) => field(2, field(1, urlOf(served)), field(2, patchOperation(served))));
  const info = field(2, field(1, 'Kubernetes'), field(2, store.version));
  const bytes = Buffer.concat([field(1, '2.0'), info, field(8, ...paths)]);
  documents.set(store, { of: kinds.length, bytes });
  return bytes;
}

const pathOf = (apiVersion: string): string => (apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`);

const urlOf = ({ apiVersion, namespaced, resource }: Served): string =>
  `/${pathOf(apiVersion)}/${namespaced ? 'namespaces/{namespace}/' : ''}${resource}/{name}`;

function pathItem({ group, version, kind }: Served, parameter: Json): Json {
  return { patch: { parameters: [parameter], 'x-kubernetes-group-version-kind': { group, version, kind } } };
}

export function openApiV2(store: Store, accept: string): Answer {
  if (accept.includes('protobuf')) {
    return {
      status: 200,
      bytes: documentOf(store),
      type: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
    };
  }
  const parameter = { name: 'dryRun', in: 'query', type: 'string', uniqueItems: true };
  const paths = Object.fromEntries(store.kinds.all().map((served) => [urlOf(served), pathItem(served, parameter)]));
  return answer({ swagger: '2.0', info: { title: 'Kubernetes', version: store.version }, paths, definitions: {} });
}

export function openApiV3(store: Store): Json {
  const versions = new Set(store.kinds.all().map(({ apiVersion }) => apiVersion));
  const paths = [...versions].map((it) => [pathOf(it), { serverRelativeURL: `/openapi/v3/${pathOf(it)}` }]);
  return { paths: Object.fromEntries(paths) };
}

/** One group version's document; undefined when nothing is served under the path. */
export function openApiV3Document(store: Store, path: string): Json {
  const kinds = store.kinds.all().filter(({ apiVersion }) => pathOf(apiVersion) === path);
  if (kinds.length === 0) return undefined;
  const parameter = { name: 'dryRun', in: 'query', schema: { type: 'string' } };
  const paths = Object.fromEntries(kinds.map((served) => [urlOf(served), pathItem(served, parameter)]));
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: store.version },
    paths,
    components: { schemas: {} },
  };
}
