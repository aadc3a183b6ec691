import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

/**
 * node scripts/test.js DIR [--counts FILE] [--match TEXT]...
 *
 * Runs every *.test.js under DIR, passes the report through, and ends with one line: `N passed, N failed`, and `, N skipped` when
 * some were. Tests that need real servers lie in a folder `real` and run only when DIR is that folder. It is a failure when a test
 * fails, when the runner does, and when no test ran at all.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { counts: { type: 'string' }, match: { type: 'string', multiple: true } },
});
const folder = positionals[0] ?? 'build/test';
const files = existsSync(folder) && statSync(folder).isDirectory() ? find(folder) : [];
if (files.length === 0) {
  process.stderr.write(`No *.test.js under ${folder}: is it built?\n`);
  process.exit(1);
}

const scratch = mkdtempSync(path.join(os.tmpdir(), 'migrate-test-'));
const summary = path.join(scratch, 'summary.json');
const runner = spawn(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    `--test-concurrency=${Math.max(2, os.availableParallelism())}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${new URL('count.js', import.meta.url).href}`,
    `--test-reporter-destination=${summary}`,
    ...files,
  ],
  { stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.kill(signal));
runner.on('close', (code, signal) => {
  const counts = read(summary);
  rmSync(scratch, { recursive: true, force: true });
  if (values.counts !== undefined) writeFileSync(values.counts, `${JSON.stringify(counts)}\n`);
  const { passed, failed, skipped } = counts;
  process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  process.exitCode = code !== 0 || signal !== null || failed > 0 || passed === 0 ? 1 : 0;
});

function find(dir) {
  return readdirSync(dir, { withFileTypes: true })
    .flatMap((it) => {
      const file = path.join(dir, it.name);
      if (it.isDirectory()) return it.name === 'real' ? [] : find(file);
      const wanted = it.name.endsWith('.test.js') && (values.match?.some((it) => file.includes(it)) ?? true);
      return wanted ? [file] : [];
    })
    .sort();
}

/** A runner that died has written nothing: then nothing passed. */
function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}
