import type { Json } from '../types.js';
import type { Store } from './store.js';
import type { Answer } from './wire.js';
import { answer } from './wire.js';

/** One field of a protobuf message that holds text or another message. */
function field(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  if (bytes.length > 127) throw new RangeError('longer than one byte of length says');
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

/** openapi.v2.Document with `swagger`, `info` and empty `paths`: clients that check objects against it find no type and let them pass. */
const emptyDocument = (version: string): Buffer =>
  Buffer.concat([
    field(1, '2.0'),
    field(2, Buffer.concat([field(1, 'Kubernetes'), field(2, version)])),
    field(8, ''),
  ]);

export function openApiV2(store: Store, accept: string): Answer {
  if (!accept.includes('protobuf')) {
    return answer({ swagger: '2.0', info: { title: 'Kubernetes', version: store.version }, paths: {}, definitions: {} });
  }
  return { status: 200, text: emptyDocument(store.version).toString('latin1'), type: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf' };
}

const apiVersions = (store: Store): string[] => [...new Set(store.kinds.all().map(({ apiVersion }) => apiVersion))];

const pathOf = (apiVersion: string): string => (apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`);

export function openApiV3(store: Store): Json {
  const paths = apiVersions(store).map((it) => [pathOf(it), { serverRelativeURL: `/openapi/v3/${pathOf(it)}` }]);
  return { paths: Object.fromEntries(paths) };
}

/** One group version's document: it names the paths, not the types. */
export function openApiV3Document(store: Store, path: string): Json {
  const apiVersion = apiVersions(store).find((it) => pathOf(it) === path);
  if (apiVersion === undefined) return undefined;
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: store.version }, paths: {}, components: { schemas: {} } };
}
