import { gunzipSync, gzipSync } from 'node:zlib';
import type { TwinObject } from '../types.js';
import { noMessages, type Shelf, type StoredBackup, type StoredItem } from './object-store.js';

/**
 * A shelf as files, the way Velero lays them in a bucket, for whoever reads or writes a backup over S3.
 *
 * @source vmware-tanzu/velero:pkg/persistence/object_store_layout.go, pkg/archive
 */
export interface Files {
  read(key: string): Buffer | undefined;
  write(key: string, body: Buffer): void;
  remove(key: string): void;
  keys(): string[];
}

const zipped = (value: unknown): Buffer => gzipSync(JSON.stringify(value));

export function filesOf(shelf: Shelf): Files {
  const made = (): Map<string, () => Buffer> => {
    const files = new Map<string, () => Buffer>();
    for (const [name, stored] of shelf.backups) {
      const folder = `backups/${name}/`;
      files.set(`${folder}velero-backup.json`, () => Buffer.from(JSON.stringify(stored.backup)));
      files.set(`${folder}${name}.tar.gz`, () => packed(stored.items));
      files.set(`${folder}${name}-resource-list.json.gz`, () => zipped(listOf(stored.items)));
      files.set(`${folder}${name}-results.gz`, () => zipped(stored.results));
    }
    for (const [name, stored] of shelf.restores) {
      files.set(`restores/${name}/restore-${name}-results.gz`, () => zipped(stored.results));
      files.set(`restores/${name}/restore-${name}-resource-list.json.gz`, () => zipped(stored.resourceList));
    }
    return files;
  };

  return {
    read: (key) => shelf.files.get(key) ?? made().get(key)?.(),

    write(key, body) {
      shelf.files.set(key, body);
      const name = nameIn(key);
      if (name !== undefined) adopt(shelf, name);
    },

    remove(key) {
      shelf.files.delete(key);
      const name = nameIn(key);
      // Without its description or its tarball a backup is none.
      if (name !== undefined && /(?:velero-backup\.json|\.tar\.gz)$/.test(key)) shelf.backups.delete(name);
    },

    keys: () => [...new Set([...shelf.files.keys(), ...made().keys()])].toSorted((a, b) => (a < b ? -1 : 1)),
  };
}

const nameIn = (key: string): string | undefined => /^backups\/([^/]+)\//.exec(key)?.[1];

/** A folder counts once it has its description, and then by what its tarball holds. */
function adopt(shelf: Shelf, name: string): void {
  const description = shelf.files.get(`backups/${name}/velero-backup.json`);
  const tarball = shelf.files.get(`backups/${name}/${name}.tar.gz`);
  if (!description || !tarball) return;
  const stored: StoredBackup = {
    backup: JSON.parse(description.toString()) as TwinObject,
    items: unpacked(tarball),
    results: { errors: noMessages(), warnings: noMessages() },
  };
  shelf.backups.set(name, stored);
}

function listOf(items: readonly StoredItem[]): Record<string, string[]> {
  const list: Record<string, string[]> = {};
  for (const { object, namespace, name } of items)
    (list[`${object.apiVersion}/${object.kind}`] ??= []).push(namespace === undefined ? name : `${namespace}/${name}`);
  return list;
}

const BLOCK = 512;

function packed(items: readonly StoredItem[]): Buffer {
  const files = items.map(({ groupResource, namespace, name, object }) => {
    const place = namespace === undefined ? 'cluster' : `namespaces/${namespace}`;
    return file(`resources/${groupResource}/${place}/${name}.json`, JSON.stringify(object));
  });
  return gzipSync(Buffer.concat([file('metadata/version', '1.1.0'), ...files, Buffer.alloc(2 * BLOCK)]));
}

/** One entry of a tar archive; a name of more than 100 bytes goes before it in an entry of its own. */
function file(name: string, text: string): Buffer {
  const body = Buffer.from(text);
  const long = Buffer.byteLength(name) > 100;
  const entries = long
    ? [entry('././@LongLink', Buffer.from(`${name}\0`), 'L'), entry(name.slice(0, 100), body, '0')]
    : [entry(name, body, '0')];
  return Buffer.concat(entries);
}

function entry(name: string, body: Buffer, type: string): Buffer {
  const head = Buffer.alloc(BLOCK);
  head.write(name, 0, 100);
  head.write('0000644\0', 100);
  head.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  head.fill(' ', 148, 156);
  head.write(type, 156);
  head.write('ustar\x0000', 257);
  head.write(
    `${head
      .reduce((sum, it) => sum + it, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return Buffer.concat([head, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);
}

function unpacked(tarball: Buffer): StoredItem[] {
  const all = gunzipSync(tarball);
  const items: StoredItem[] = [];
  let long: string | undefined;
  for (let at = 0; at + BLOCK <= all.length && all[at] !== 0;) {
    const text = (from: number, room: number): string =>
      all.toString('utf8', at + from, at + from + room).replace(/\0.*$/s, '');
    const size = Number.parseInt(text(124, 12), 8);
    const body = all.subarray(at + BLOCK, at + BLOCK + size);
    const name = long ?? text(0, 100);
    long = text(156, 1) === 'L' ? body.toString('utf8').replace(/\0.*$/s, '') : undefined;
    const [, groupResource, namespace] =
      /^resources\/([^/]+)\/(?:namespaces\/([^/]+)|cluster)\/[^/]+\.json$/.exec(name) ?? [];
    if (groupResource !== undefined && long === undefined) {
      const object = JSON.parse(body.toString()) as TwinObject;
      const path = `${object.apiVersion}/${groupResource.split('.')[0]}`;
      items.push({ groupResource, path, namespace, name: object.metadata.name, object });
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return items;
}
