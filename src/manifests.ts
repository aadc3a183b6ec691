import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type YAMLMap } from 'yaml';
import type { Defined, Written } from './inventory.js';

/**
 * Which objects a manifest names, and in which API versions; nothing else of it is looked at or kept. Pure.
 *
 * Rendered manifests are many and long, and four top-level lines of each document are all that matters. So documents in the
 * usual block style are read line by line; any other goes through a whole parser.
 */
export interface Named {
  objects: Written[];
  defines: Defined[];
}

/** @throws Error  with the parser's words, for a text that is no YAML */
export function namedIn(text: string): Named {
  const named: Named = { objects: [], defines: [] };
  for (const { line, text: document } of documentsOf(text)) {
    const quick = readQuickly(document, line);
    if (quick === undefined) readWhole(document, line, named);
    else if (quick !== 'nothing') named.objects.push(quick);
  }
  return named;
}

/**
 * Whether a file becomes YAML only when a chart is rendered. Braces alone say nothing: alerts and workflows have them inside of texts.
 */
export function isTemplate(text: string): boolean {
  if (!text.includes('{{')) return false;
  // A line that is nothing but an action, or a key of ours whose value is one.
  return (
    /^\s*\{\{.*\}\}\s*$/m.test(outsideOfTexts(text)) ||
    /^(?:apiVersion|kind|\s+name|\s+namespace):\s*["']?\{\{/m.test(text) ||
    cannotBeRead(text)
  );
}

/** Without the lines of block texts: there an action on a line of its own is the text's. */
function outsideOfTexts(text: string): string {
  const kept: string[] = [];
  let within: number | undefined;
  for (const line of text.split('\n')) {
    const indent = line.search(/\S/);
    if (within !== undefined && (indent < 0 || indent > within)) continue;
    within = /[:-]\s+[|>][-+0-9]*\s*$/.test(line) ? indent : undefined;
    kept.push(line);
  }
  return kept.join('\n');
}

function cannotBeRead(text: string): boolean {
  try {
    for (const { line, text: document } of documentsOf(text)) readWhole(document, line, { objects: [], defines: [] });
    return false;
  } catch {
    return true;
  }
}

/** A line of `---` ends a document wherever it stands, inside of texts too. @source YAML 1.2.2, 9.1.4 */
function* documentsOf(text: string): Generator<{ line: number; text: string }> {
  let start = 0;
  let line = 1;
  for (const marker of text.matchAll(/^---(?=\s|$)/gm)) {
    const part = text.slice(start, marker.index);
    if (part.trim() !== '' && !/^---\s*$/.test(part.trim())) yield { line, text: part };
    line += newlines(part);
    start = marker.index;
  }
  const part = text.slice(start);
  if (part.trim() !== '') yield { line, text: part };
}

const newlines = (text: string) => text.split('\n').length - 1;

/** Kinds whose documents hold more than one object, or say what there will be. */
const HOLDS_MORE = /List$|^CustomResourceDefinition$/;
/** A plain or quoted word; anything else is for the whole parser. */
const WORD = /^(?:"([^"\\]*)"|'([^']*)'|([\w./][-\w./:]*))\s*(?:#.*)?\r?$/;

/** @returns undefined when it is not in the usual style, `nothing` when it names no object */
function readQuickly(document: string, firstLine: number): Written | 'nothing' | undefined {
  const found: Partial<Record<'apiVersion' | 'kind' | 'name' | 'namespace', string>> = {};
  let at = firstLine;
  let inMetadata = false;
  let indent = '';
  let sawKey = false;
  for (const [index, line] of document.split('\n').entries()) {
    const top = /^([A-Za-z][\w-]*):(?:\s+(.*))?$/.exec(line.replace(/\r$/, ''));
    if (top) {
      sawKey = true;
      const [, key = '', value = ''] = top;
      inMetadata = key === 'metadata';
      indent = '';
      if (inMetadata && value.replace(/^#.*/, '') !== '') return undefined;
      if (key === 'apiVersion' || key === 'kind') {
        const word = wordOf(value);
        if (word === undefined || found[key] !== undefined) return undefined;
        found[key] = word;
        if (key === 'apiVersion') at = firstLine + index;
      }
      continue;
    }
    // Flow style, tags, keys in quotes, content beside the marker: not ours.
    if (/^(?:[{["'&!*%?<]|---\s+[^\s#])/.test(line)) return undefined;
    if (!inMetadata) continue;
    const inner = /^(\s+)(name|namespace):\s+(.*)$/.exec(line.replace(/\r$/, ''));
    if (indent === '') indent = /^(\s+)[^\s#]/.exec(line)?.[1] ?? '';
    if (!inner || inner[1] !== indent) continue;
    const word = wordOf(inner[3] ?? '');
    if (word === undefined) return undefined;
    found[inner[2] as 'name' | 'namespace'] = word;
  }
  const { apiVersion, kind, name, namespace } = found;
  if (apiVersion === undefined || kind === undefined) return sawKey || isComment(document) ? 'nothing' : undefined;
  if (HOLDS_MORE.test(kind)) return undefined;
  return { apiVersion, kind, name: name ?? '', ...(namespace !== undefined && { namespace }), line: at };
}

const isComment = (document: string) => document.split('\n').every((it) => /^\s*(#.*|---.*)?$/.test(it));

function wordOf(value: string): string | undefined {
  const found = WORD.exec(value.trim());
  return found ? (found[1] ?? found[2] ?? found[3]) : undefined;
}

function readWhole(document: string, firstLine: number, named: Named): void {
  const lines = new LineCounter();
  for (const parsed of parseAllDocuments(document, {
    lineCounter: lines,
    uniqueKeys: false,
    logLevel: 'silent',
  }) as Document.Parsed[]) {
    const [error] = parsed.errors;
    if (error) throw new Error(error.message.split('\n')[0]);
    const { contents } = parsed;
    if (isMap(contents)) readMap(contents, (offset) => firstLine + lines.linePos(offset).line - 1, named);
  }
}

function readMap(map: YAMLMap, lineAt: (offset: number) => number, named: Named): void {
  const [apiVersion, kind] = [text(map, 'apiVersion'), text(map, 'kind')];
  if (apiVersion === undefined || kind === undefined) return;
  const items = map.get('items', true);
  if (kind.endsWith('List') && isSeq(items)) {
    for (const item of items.items) if (isMap(item)) readMap(item, lineAt, named);
    return;
  }
  if (kind === 'CustomResourceDefinition')
    named.defines.push(...definedBy(map).map((brings) => ({ apiVersion, brings })));
  const metadata = map.get('metadata', true);
  const [name = '', namespace] = isMap(metadata) ? [text(metadata, 'name'), text(metadata, 'namespace')] : [];
  named.objects.push({
    apiVersion,
    kind,
    name,
    ...(namespace !== undefined && { namespace }),
    line: lineAt(map.range?.[0] ?? 0),
  });
}

function text(map: YAMLMap, key: string): string | undefined {
  const value = map.get(key, true);
  return isScalar(value) && typeof value.value === 'string' ? value.value : undefined;
}

function definedBy(map: YAMLMap): string[] {
  const { spec } = map.toJSON() as {
    spec?: {
      group?: string;
      names?: { kind?: string };
      version?: string;
      versions?: { name?: string; served?: boolean }[];
    };
  };
  const versions = [spec?.version, ...(spec?.versions ?? []).filter((it) => it.served !== false).map((it) => it.name)];
  return [...new Set(versions)]
    .filter((it) => it !== undefined)
    .map((version) => `${spec?.group}/${version}/${spec?.names?.kind}`);
}
