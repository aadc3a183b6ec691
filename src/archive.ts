import { gunzipSync, gzipSync } from 'node:zlib';
import type { KubeObject } from './ports.js';

/**
 * A backup as Velero keeps it in the object store: a folder `backups/NAME/` with a gzipped tarball of one JSON file per object beside a
 * description. One that we write ourselves is synced and restored like any other.
 *
 * @source vmware-tanzu/velero:pkg/persistence/object_store_layout.go, pkg/archive; runs of 1.18.3
 */
export interface Archived {
  /** `deployments.apps` */
  resource: string;
  object: KubeObject;
}

export interface Description {
  /** of the backup */
  name: string;
  /** Velero's */
  namespace: string;
  /** storage location */
  location: string;
  labels: Record<string, string>;
  namespaces: string[];
  /** of the source, `v1.20.15` */
  version: string;
  /** milliseconds since 1970 */
  now: number;
}

const TTL_MS = 720 * 3_600_000;

/** Where a backup's files lie; with a slash at the end. */
export const folderOf = (prefix: string, backup: string): string =>
  `${prefix === '' ? '' : `${prefix.replace(/\/$/, '')}/`}backups/${backup}/`;

/**
 * The files of a backup, in the order in which they are to be put: what makes the others count comes last, for a server that syncs takes
 * whatever has a description.
 */
export function backupFiles(items: readonly Archived[], about: Description): { name: string; body: Buffer }[] {
  const { name } = about;
  const list: Record<string, string[]> = {};
  for (const { object } of items) {
    const { namespace, name: own } = object.metadata;
    (list[`${object.apiVersion}/${object.kind}`] ??= []).push(namespace === undefined ? own : `${namespace}/${own}`);
  }
  const nothing = { velero: [], cluster: [], namespaces: {} };
  return [
    { name: `${name}.tar.gz`, body: packed(items) },
    { name: `${name}-resource-list.json.gz`, body: zipped(JSON.stringify(list)) },
    { name: `${name}-results.gz`, body: zipped(JSON.stringify({ errors: nothing, warnings: nothing })) },
    { name: `${name}-logs.gz`, body: zipped(`level=info msg="written by migrate: ${items.length} objects"\n`) },
    { name: DESCRIPTION, body: Buffer.from(JSON.stringify(description(items, about))) },
  ];
}

export const DESCRIPTION = 'velero-backup.json';

function description(items: readonly Archived[], about: Description): KubeObject {
  const { name, namespace, location, labels, namespaces, version, now } = about;
  const at = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
  const [, major = '', minor = ''] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return {
    apiVersion: 'velero.io/v1',
    kind: 'Backup',
    metadata: {
      name,
      namespace,
      labels: { ...labels, 'velero.io/storage-location': location },
      annotations: {
        'velero.io/source-cluster-k8s-gitversion': version,
        'velero.io/source-cluster-k8s-major-version': major,
        'velero.io/source-cluster-k8s-minor-version': minor,
      },
    },
    spec: { includedNamespaces: namespaces, storageLocation: location, snapshotVolumes: false, ttl: '720h0m0s' },
    status: {
      version: 1,
      formatVersion: '1.1.0',
      phase: 'Completed',
      startTimestamp: at(now),
      completionTimestamp: at(now),
      expiration: at(now + TTL_MS),
      progress: { totalItems: items.length, itemsBackedUp: items.length },
    },
  };
}

const zipped = (text: string | Buffer) => gzipSync(text);

function packed(items: readonly Archived[]): Buffer {
  const files = items.map(({ resource, object }) => {
    const { namespace, name } = object.metadata;
    const place = namespace === undefined ? 'cluster' : `namespaces/${namespace}`;
    return entry(`resources/${resource}/${place}/${name}.json`, JSON.stringify(object));
  });
  return zipped(Buffer.concat([entry('metadata/version', '1.1.0'), ...files, Buffer.alloc(2 * BLOCK)]));
}

const BLOCK = 512;
const NAME_ROOM = 100;

/** @source POSIX ustar; GNU tar's `././@LongLink` for names that do not fit, which Go's reader takes too */
function entry(name: string, text: string): Buffer {
  const body = Buffer.from(text);
  const path = Buffer.from(name);
  if (path.length <= NAME_ROOM) return Buffer.concat([header(name, body.length, '0'), padded(body)]);
  const long = Buffer.concat([path, Buffer.alloc(1)]);
  return Buffer.concat([
    header('././@LongLink', long.length, 'L'),
    padded(long),
    header(path.subarray(0, NAME_ROOM).toString('latin1'), body.length, '0'),
    padded(body),
  ]);
}

const padded = (body: Buffer) => Buffer.concat([body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);

function header(name: string, size: number, type: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, room: number) =>
    void block.write(`${value.toString(8).padStart(room - 1, '0')}\0`, at, 'latin1');
  block.write(name, 0, NAME_ROOM, 'latin1');
  octal(0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.fill(' ', 148, 156);
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/**
 * The objects of a backup's tarball, each once, in its plain place; copies in other versions are passed over.
 *
 * @throws RangeError  it is no such tarball
 */
export function unpacked(tarball: Buffer): Archived[] {
  const found: Archived[] = [];
  for (const { name, body } of filesOf(tarball)) {
    const [, resource] = /^(?:\.\/)?resources\/([^/]+)\/(?:namespaces\/[^/]+|cluster)\/[^/]+\.json$/.exec(name) ?? [];
    if (resource !== undefined) found.push({ resource, object: JSON.parse(body.toString('utf8')) as KubeObject });
  }
  return found;
}

function* filesOf(tarball: Buffer): Generator<{ name: string; body: Buffer }> {
  let all: Buffer;
  try {
    all = gunzipSync(tarball);
  } catch (cause) {
    throw new RangeError('the tarball is cut or no gzip', { cause });
  }
  let long: string | undefined;
  for (let at = 0; at + BLOCK <= all.length && all[at] !== 0;) {
    const block = all.subarray(at, at + BLOCK);
    const size = Number.parseInt(textIn(block, 124, 12).trim() || '0', 8);
    const body = all.subarray(at + BLOCK, at + BLOCK + size);
    if (Number.isNaN(size) || body.length < size) throw new RangeError('the tarball is cut or damaged');
    const type = String.fromCharCode(block[156] ?? 0);
    const prefix = textIn(block, 345, 155);
    const plain = `${prefix === '' ? '' : `${prefix}/`}${textIn(block, 0, NAME_ROOM)}`;
    if (type === 'L') long = body.toString('utf8').replace(/\0+$/, '');
    else if (type === 'x') long = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(body.toString('utf8'))?.[1] ?? long;
    else {
      if (type === '0' || type === '\0') yield { name: long ?? plain, body };
      long = undefined;
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}

function textIn(block: Buffer, at: number, room: number): string {
  const bytes = block.subarray(at, at + room);
  const end = bytes.indexOf(0);
  return bytes.subarray(0, end < 0 ? room : end).toString('utf8');
}
