import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { MigrateError } from '../errors.js';
import type { Manifests } from '../inventory.js';
import type { ManifestFile } from '../ports.js';
import { isTemplate, namedIn } from '../manifests.js';
import { hideIn } from '../redact.js';

/** No manifest is that long; data and archives with a misleading name are. */
const MOST_BYTES = 16 * 1024 * 1024;
const NOT_OURS: ReadonlySet<string> = new Set(['.git', 'node_modules', '.terraform']);

/**
 * The manifests of a folder or checkout, or of a single file. Links are not followed.
 * @throws MigrateError MANIFESTS_UNREADABLE
 */
export function readManifests(from: string): Manifests {
  const found: Manifests = { from, files: 0, objects: [], defines: [], templates: [], unread: [] };
  for (const file of filesIn(from)) readFile(file, found);
  return found;
}

/** The same files with all that they say. @throws MigrateError MANIFESTS_UNREADABLE */
export const manifestTexts = (from: string): ManifestFile[] =>
  filesIn(from).map((file) => ({ file, text: readFileSync(file, 'utf8') }));

function filesIn(from: string): string[] {
  try {
    return statSync(from).isDirectory() ? [...walk(from)].sort() : [from];
  } catch (cause) {
    throw new MigrateError('MANIFESTS_UNREADABLE', {
      what: `${from} can't be read.`,
      why:
        (cause as NodeJS.ErrnoException).code === 'ENOENT'
          ? 'There is no such folder or file.'
          : 'Its permissions forbid it.',
      fix: 'Name a folder or file with --manifests.',
    });
  }
}

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!NOT_OURS.has(entry.name)) yield* walk(file);
    } else if (entry.isFile() && /\.(?:ya?ml|json)$/i.test(entry.name)) yield file;
  }
}

function readFile(file: string, found: Manifests): void {
  found.files++;
  try {
    if (statSync(file).size > MOST_BYTES) throw new Error('it is longer than any manifest');
    const text = readFileSync(file, 'utf8');
    if (isTemplate(text)) return void found.templates.push(file);
    const { objects, defines } = namedIn(text);
    found.objects.push(...objects.map((it) => ({ ...it, file })));
    found.defines.push(...defines);
  } catch (error) {
    // A parser quotes the line that it does not understand.
    found.unread.push({ what: file, why: hideIn((error as Error).message) });
  }
}
