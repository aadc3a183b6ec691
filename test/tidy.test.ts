import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The repository, from the compiled file. */
const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** Rooms, and which others each may import from. Files at the root of src are the domain. */
const MAY: Record<string, readonly string[]> = {
  domain: ['domain'],
  steps: ['domain', 'routers', 'gates', 'steps'],
  gates: ['domain', 'gates'],
  routers: ['domain', 'routers'],
  kube: ['domain', 'kube'],
  alibaba: ['domain', 'alibaba'],
  db: ['domain', 'db'],
  store: ['domain', 'store'],
  // One check asks the routers what they will reach.
  checks: ['domain', 'checks', 'routers'],
  // It judges the code, so it shares none of it: the wire is the contract between them.
  twin: ['twin'],
  cli: ['domain', 'steps', 'routers', 'kube', 'alibaba', 'db', 'store', 'checks', 'twin', 'cli'],
};

/** Each package has one home. */
const HOMES: Record<string, readonly RegExp[]> = {
  commander: [/^src\/cli\//],
  listr2: [/^src\/cli\/views\//],
  yaml: [
    /^checks\/config-maps\.ts$/,
    /^src\/playbook\.ts$/,
    /^src\/app-steps\.ts$/,
    /^src\/manifests\.ts$/,
    /^src\/rendered\.ts$/,
    /^src\/terway\.ts$/,
    /^src\/cli\//,
    /^src\/twin\//,
  ],
  zod: [
    /^src\/routers\/exec\.ts$/,
    /^src\/databases\.ts$/,
    /^src\/(playbook|formats|window|routes|gates|disk-entry|side-entry)\.ts$/,
    /^src\/cli\//,
  ],
  '@kubernetes/client-node': [/^src\/kube\//, /^src\/cli\/init\.ts$/, /^src\/cli\/commands\/init\.ts$/],
  mysql2: [/^src\/db\//],
  pg: [/^src\/db\//],
  ioredis: [/^src\/db\//],
  '@alicloud/openapi-core': [/^src\/alibaba\//],
  '@alicloud/credentials': [/^src\/alibaba\//],
  '@alicloud/ecs20140526': [/^src\/alibaba\//],
  '@alicloud/alidns20150109': [/^src\/alibaba\//],
};

interface Source {
  file: string;
  text: string;
}

function* sources(dir: string): Generator<Source> {
  for (const entry of readdirSync(path.join(ROOT, dir), { withFileTypes: true })) {
    const file = `${dir}/${entry.name}`;
    if (entry.isDirectory()) yield* sources(file);
    else if (entry.name.endsWith('.ts')) yield { file, text: readFileSync(path.join(ROOT, file), 'utf8') };
  }
}

const ALL = [...sources('src'), ...sources('checks')];

function roomOf(file: string): string {
  if (file.startsWith('checks/')) return 'checks';
  const [, second = '', ...rest] = file.split('/');
  return rest.length === 0 ? 'domain' : second;
}

const importsOf = ({ text }: Source) =>
  [...text.matchAll(/^\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm)].map(
    (it) => it[1] ?? it[2] ?? '',
  );

test('imports point inward', () => {
  const wrong: string[] = [];
  for (const source of ALL) {
    const allowed = MAY[roomOf(source.file)];
    assert.ok(allowed, `${source.file} is in a room that the table does not know`);
    for (const from of importsOf(source)) {
      if (!from.startsWith('.')) continue;
      const target = path.posix.join(path.posix.dirname(source.file), from);
      if (!allowed.includes(roomOf(target))) wrong.push(`${source.file} imports ${from}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('each package has one home', () => {
  const wrong: string[] = [];
  for (const source of ALL) {
    for (const from of importsOf(source)) {
      if (from.startsWith('.') || from.startsWith('node:')) continue;
      const name = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : (from.split('/')[0] ?? '');
      if (!HOMES[name]?.some((it) => it.test(source.file))) wrong.push(`${source.file} imports ${from}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('time, chance and exit come through the clock, a seed and the command line', () => {
  const wrong: string[] = [];
  for (const { file, text } of ALL) {
    if (file.startsWith('src/cli/')) continue;
    for (const [index, line] of text.split('\n').entries()) {
      if (/^\s*(?:\*|\/\/)/.test(line)) continue;
      const found = /\b(?:Date\.now|Math\.random|process\.exit)\b/.exec(line);
      // The twin's real clock and the age of a signature are the machine's own time, said where they stand.
      if (found && !(found[0] === 'Date.now' && /^src\/twin\/(?:clock|cloud\/)/.test(file)))
        wrong.push(`${file}:${index + 1} ${found[0]}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('no file has two jobs by its length', () => {
  const isData = (file: string) => file === 'src/cli/catalogue.ts';
  const long = ALL.map(({ file, text }) => ({ file, lines: text.split('\n').length })).filter(
    (it) => it.lines > 700 && !isData(it.file),
  );
  assert.deepEqual(long, []);
});

test('nothing names a machine, a registry host or how it was made', () => {
  const wrong: string[] = [];
  for (const { file, text } of [...ALL, ...sources('test')]) {
    if (file === 'test/tidy.test.ts') continue;
    if (/\/work\/|\.library|\.\.\/shared\/(?!corpus)|registry\.npmjs|npmmirror|proxy\.golang/.test(text))
      wrong.push(file);
  }
  assert.deepEqual(wrong, []);
});
