import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * src/cli/program.ts → dist/, split so that a command loads what it uses and no more.
 *
 * Everything is bundled in, the SDKs too. Measured on two cores: bundled, the Kubernetes client and the cloud's ECS package load in a third
 * of the time that their thousands of files take from node_modules; the package installs without a single dependency, which
 * also serves closed networks. The price is dist/ itself, nearly all of it the ECS package, which only loads when a disk moves.
 *
 * Identifiers keep their names: a stack in a bug report should say something, and the SDKs look at the names of their classes.
 */
const root = fileURLToPath(new URL('..', import.meta.url));
const out = path.join(root, 'dist');

rmSync(out, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { program: 'src/cli/program.ts' },
  outdir: out,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 200,
  chunkNames: 'chunks/[name]-[hash]',
  metafile: true,
  legalComments: 'none',
  logLevel: 'warning',
  // What is CommonJS inside asks for node's own modules by `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module';const require = requireFrom(import.meta.url);",
  },
});
writeFileSync(path.join(out, 'THIRD-PARTY-LICENSES.txt'), notices(Object.keys(metafile.inputs)));

/** The licence of every package that something was bundled from: most ask to go with each copy. */
function notices(inputs) {
  const folders = new Set(
    inputs.map((it) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(it)?.[0]).filter(Boolean),
  );
  return [...folders]
    .toSorted((a, b) => a.localeCompare(b, 'en'))
    .map(notice)
    .join('\n');
}

function notice(folder) {
  const about = JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8'));
  const files = readdirSync(path.join(root, folder)).filter((it) => /^(licen[cs]e|notice|copying)/i.test(it));
  const texts = files.map((it) => readFileSync(path.join(root, folder, it), 'utf8').trim());
  const licence =
    typeof about.license === 'string'
      ? about.license
      : (about.license?.type ?? about.licenses?.[0]?.type ?? 'see its repository');
  return [`${about.name} ${about.version} (${licence})`, ...texts, ''].join('\n\n');
}
