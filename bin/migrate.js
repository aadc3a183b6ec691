#!/usr/bin/env node
import { readFileSync } from 'node:fs';

// Nothing else is loaded before it is known that it can run here, and nothing at all for `--version`.
const LEAST = [20, 19];

const root = new URL('../', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < LEAST[0] || (major === LEAST[0] && minor < LEAST[1])) {
  process.stderr.write(`migrate ${version} needs Node.js ${LEAST.join('.')} or later; this is ${process.version}.\n`);
  process.exitCode = 2;
} else if (process.argv.length === 3 && (process.argv[2] === '--version' || process.argv[2] === '-V')) {
  process.stdout.write(`${version}\n`);
} else {
  const program = await import('../dist/program.js').catch((error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    process.stderr.write('migrate is not built here: run `npm ci`, or `npm run build` in a source checkout.\n');
    process.exitCode = 2;
  });
  if (program) await program.start({ version, root });
}
