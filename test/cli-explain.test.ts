import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { catalogue } from '../src/cli/catalogue.js';
import { exitOf } from '../src/cli/ending.js';
import { explain } from '../src/cli/explain.js';
import type { ExplainedEvent } from '../src/cli/events.js';
import { MigrateError } from '../src/errors.js';
import { Place, ROOT } from './cli.js';

/** Code literals in what an operator runs: the twin is not ours to speak for, and the catalogue is what is asked about. */
function codesUsed(): Set<string> {
  const files = readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (it) => it.endsWith('.ts') && !it.startsWith('twin/') && it !== path.join('cli', 'catalogue.ts'),
  );
  const found = new Set<string>();
  for (const file of files) {
    const text = readFileSync(path.join(ROOT, 'src', file), 'utf8');
    for (const [, code] of text.matchAll(/(?:MigrateError\(\s*|code: |\? |(?<!location): )'([A-Z]+(?:_[A-Z]+)*)'/g))
      if (code !== undefined && (code.includes('_') || code === 'BUG' || code === 'USAGE')) found.add(code);
    for (const [, code] of text.matchAll(/readText\([^)]*'([A-Z_]+)'/g)) if (code !== undefined) found.add(code);
  }
  return found;
}

test('every code that can be met is in the catalogue, and the catalogue has no other', () => {
  assert.deepEqual([...codesUsed()].sort(), Object.keys(catalogue).sort());
});

test('a refusal that comes midway is a stop, and no other code changes', () => {
  const error = (code: string) => new MigrateError(code, { what: 'x' });
  for (const [code, { exit }] of Object.entries(catalogue)) {
    assert.equal(exitOf(error(code), false), exit, code);
    assert.equal(exitOf(error(code), true), exit === 1 ? 3 : exit, code);
  }
  assert.equal(exitOf(new TypeError('x'), true), 70);
});

async function explained(code: string, lang: 'en' | 'zh'): Promise<ExplainedEvent> {
  const events: ExplainedEvent[] = [];
  await explain(
    code,
    { lang },
    {
      emit: (event) => void (event.type === 'explained' && events.push(event)),
      stopping: () => false,
      confirm: async () => false,
      ask: async () => '',
      interactive: false,
      note: () => undefined,
    },
  );
  assert.equal(events.length, 1, code);
  return events[0] as ExplainedEvent;
}

test('every check and every error is explained in English and in Chinese', async () => {
  const han = /\p{Script=Han}/u;
  for (const code of [...checks.map((it) => it.id), 'waivers', ...Object.keys(catalogue)]) {
    const [en, zh] = [await explained(code, 'en'), await explained(code, 'zh')];
    for (const field of ['why', 'do', 'asks', 'outcome'] as const) {
      assert.ok(en[field], `${code}: ${field}`);
      assert.doesNotMatch(en[field] ?? '', han, `${code}: ${field}`);
      assert.match(zh[field] ?? '', han, `${code}: ${field}`);
    }
    assert.equal(en.kind, code === code.toUpperCase() ? 'error' : 'check');
    if (en.kind === 'check') assert.ok(en.how && en.sources.length > 0, code);
  }
});

test('explain is a page of text, offline, in the language asked for', async () => {
  const place = new Place();
  const [english, chinese, all] = await Promise.all([
    place.run(['explain', 'lock_held']),
    place.run(['explain', 'removed-apis'], { MIGRATE_LANG: 'zh' }),
    place.run(['explain']),
  ]);
  assert.equal(english.code, 0);
  assert.match(english.stdout, /^LOCK_HELD\n {2}asks .*\n {2}comes to {2}exit 5/);
  assert.match(chinese.stdout, /^removed-apis\n {2}问题/);
  for (const code of ['removed-apis', 'waivers', 'LOCK_HELD', 'BUG']) assert.ok(all.stdout.includes(code), code);
  assert.deepEqual([english.stderr, chinese.stderr, all.stderr], ['', '', '']);
  place.remove();
});
