import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { databaseEntry, type PairedDatabase } from '../src/databases.js';
import type { openDatabases } from '../src/db/index.js';
import { plainTap, wallClock } from '../src/cli/world.js';
import { ROOT } from './cli.js';

test('the clients of databases load when they are bundled, as they are in what is published', async () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-bundle-'));
  try {
    // As scripts/bundle.js does it, of this part alone.
    await build({
      absWorkingDir: ROOT,
      entryPoints: { databases: 'src/db/index.ts' },
      outdir: dir,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      logLevel: 'error',
      banner: {
        js: "import { createRequire as requireFrom } from 'node:module';const require = requireFrom(import.meta.url);",
      },
    });
    const bundled = (await import(pathToFileURL(path.join(dir, 'databases.mjs')).href)) as {
      openDatabases: typeof openDatabases;
    };
    const server = { host: '127.0.0.1', port: 1 };
    for (const kind of ['mysql', 'mariadb', 'postgres', 'redis']) {
      const database = databaseEntry.parse({
        kind,
        name: 'shop/orders',
        ...(kind === 'postgres' && { database: 'shop' }),
        source: server,
        target: server,
      }) as PairedDatabase;
      const nobody = {} as Parameters<typeof openDatabases>[0]['clusters'];
      const pair = await bundled
        .openDatabases({ clusters: nobody, env: {}, clock: wallClock, tap: plainTap })
        .pair(database);
      await assert.rejects(pair.look('source'), { code: 'DB_UNREACHABLE', message: /ECONNREFUSED/ }, kind);
      await pair.close();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
